// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// streams are those the driver moves by hand, by their number.
type streams struct {
	lock sync.Mutex
	all  []network.Stream
}

func (s *streams) add(stream network.Stream) int {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.all = append(s.all, stream)
	return len(s.all)
}

func (s *streams) find(number int) (network.Stream, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if number < 1 || number > len(s.all) {
		return nil, errors.New("no such stream")
	}
	return s.all[number-1], nil
}

func (s *streams) do(q *question) (object, error) {
	stream, err := s.find(q.Stream)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(
		time.Duration(or(q.Ms, 10000)) * time.Millisecond)
	switch q.Do {
	case "write":
		return write(stream, q.Data, max(1, q.Times), until)
	case "read":
		return read(stream, or(q.Bytes, 65536), until)
	case "finish":
		return object{}, stream.CloseWrite()
	}
	return object{}, stream.Reset()
}

// write ends early when the other side takes no more.
func write(stream network.Stream, data []byte, times int, until time.Time) (
	object, error) {
	if err := stream.SetWriteDeadline(until); err != nil {
		return nil, err
	}
	for i := range times {
		if _, err := stream.Write(data); errors.Is(err,
			os.ErrDeadlineExceeded) {
			return object{"written": i, "stalled": true}, nil
		} else if err != nil {
			return nil, err
		}
	}
	return object{"written": times, "stalled": false}, nil
}

// read takes up to most bytes; "end" says why there are no more.
func read(stream network.Stream, most int, until time.Time) (object, error) {
	if err := stream.SetReadDeadline(until); err != nil {
		return nil, err
	}
	got := make([]byte, most)
	n, err := io.ReadFull(stream, got)
	end := "reset"
	switch {
	case err == nil:
		end = "open"
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		end = "eof"
	case errors.Is(err, os.ErrDeadlineExceeded):
		end = "late"
	}
	return object{"data": got[:n], "end": end}, nil
}
