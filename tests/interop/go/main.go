// SPDX-License-Identifier: Apache-2.0

// A go-libp2p node driven over stdin and stdout, one JSON object a line, as
// tests/interop/README.md says.  Connections and streams only: its kad-dht and
// pubsub live in modules of their own.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

type object = map[string]any

// question is a line from the driver: what a command may name.
type question struct {
	ID       uint64 `json:"id"`
	Do       string `json:"do"`
	Address  string `json:"address"`
	Peer     string `json:"peer"`
	Protocol string `json:"protocol"`

	Stream     int    `json:"stream"`
	Data       []byte `json:"data"`
	Times      int    `json:"times"`
	Bytes      *int   `json:"bytes"`
	Ms         *int   `json:"ms"`
	Send       uint64 `json:"send"`
	Receive    uint64 `json:"receive"`
	Count      int    `json:"count"`
	Concurrent int    `json:"concurrent"`

	options
}

func or(value *int, otherwise int) int {
	if value == nil {
		return otherwise
	}
	return *value
}

var out sync.Mutex

// say writes one line.
func say(line object) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	out.Lock()
	defer out.Unlock()
	if _, err := fmt.Printf("%s\n", text); err != nil {
		os.Exit(1)
	}
}

func answer(id uint64, result object, err error) {
	if err != nil {
		say(object{"id": id, "ok": false, "error": err.Error()})
		return
	}
	line := object{"id": id, "ok": true}
	for name, value := range result {
		line[name] = value
	}
	say(line)
}

func main() {
	var p *peer
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			answer(0, nil, err)
			continue
		}
		if q.Do == "start" {
			if p, err = start(&q.options); err != nil {
				answer(q.ID, nil, err)
				return
			}
			answer(q.ID, object{"peer": p.host.ID().String(),
				"listen": p.listen()}, nil)
			continue
		}
		// Commands may overlap: the answer names the question.
		go func() {
			result, err := p.do(&q)
			answer(q.ID, result, err)
		}()
	}
}
