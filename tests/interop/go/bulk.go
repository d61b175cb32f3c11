// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	id "github.com/libp2p/go-libp2p/core/peer"
)

// Bytes by the gigabyte.  The opener says in 8 bytes (BE) how many it sends and
// in 8 more how many it wants; the other takes the first, sends the second and
// the SHA-256 of what it got.
const bulkName = "/souk/test/bulk/1.0.0"

const partBytes = 64 * 1024

var part = func() []byte {
	all := make([]byte, partBytes)
	for i := range all {
		all[i] = byte(i % 251)
	}
	return all
}()

func send(to io.Writer, count uint64) error {
	for count > 0 {
		n, err := to.Write(part[:min(count, partBytes)])
		if err != nil {
			return err
		}
		count -= uint64(n)
	}
	return nil
}

// receive hashes the next count bytes.
func receive(from io.Reader, count uint64) ([]byte, error) {
	hash := sha256.New()
	buffer := make([]byte, partBytes)
	for count > 0 {
		n, err := from.Read(buffer[:min(count, partBytes)])
		hash.Write(buffer[:n])
		count -= uint64(n)
		if err == io.EOF && count > 0 {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
	}
	return hash.Sum(nil), nil
}

// expected is the hash of what send() sends.
func expected(count uint64) []byte {
	hash := sha256.New()
	_ = send(hash, count) // a hash takes everything
	return hash.Sum(nil)
}

func serveBulk(s network.Stream) {
	if err := serve(s); err != nil {
		s.Reset()
	}
}

func serve(s network.Stream) error {
	var head [16]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return err
	}
	hash, err := receive(s, binary.BigEndian.Uint64(head[:8]))
	if err != nil {
		return err
	}
	if err := send(s, binary.BigEndian.Uint64(head[8:])); err != nil {
		return err
	}
	if _, err := s.Write(hash); err != nil {
		return err
	}
	return s.Close()
}

// bulk makes one transfer on a stream of its own.
func (p *peer) bulk(ctx context.Context, other id.ID, out, in uint64) (object,
	error) {
	return p.move(ctx, other, out, in, [2][]byte{expected(out), expected(in)})
}

// move is bulk with the hashes of what goes and comes at hand.
func (p *peer) move(ctx context.Context, other id.ID, out, in uint64,
	hashes [2][]byte) (object, error) {
	s, err := p.host.NewStream(ctx, other, bulkName)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	result, err := transfer(s, out, in, hashes)
	if err != nil {
		s.Reset()
		return nil, err
	}
	result["seconds"] = time.Since(begun).Seconds()
	return result, s.Close()
}

func transfer(s network.Stream, out, in uint64, hashes [2][]byte) (object,
	error) {
	head := binary.BigEndian.AppendUint64(nil, out)
	head = binary.BigEndian.AppendUint64(head, in)
	if _, err := s.Write(head); err != nil {
		return nil, err
	}
	if err := send(s, out); err != nil {
		return nil, err
	}
	got, err := receive(s, in)
	if err != nil {
		return nil, err
	}
	told := make([]byte, sha256.Size)
	if _, err := io.ReadFull(s, told); err != nil {
		return nil, err
	}
	return object{"received": bytes.Equal(got, hashes[1]),
		"sent": bytes.Equal(told, hashes[0])}, nil
}

// many makes count transfers, so many of them at once.
func (p *peer) many(ctx context.Context, other id.ID, q *question) (object,
	error) {
	var good int
	var first error
	turns := make(chan struct{}, max(1, q.Concurrent))
	results := make(chan error)
	each := uint64(or(q.Bytes, 0))
	hash := expected(each) // not while it is measured
	begun := time.Now()
	for range q.Count {
		go func() {
			turns <- struct{}{}
			result, err := p.move(ctx, other, each, each,
				[2][]byte{hash, hash})
			<-turns
			if err == nil && !(result["received"] == true &&
				result["sent"] == true) {
				err = io.ErrShortWrite
			}
			results <- err
		}()
	}
	for range q.Count {
		if err := <-results; err == nil {
			good++
		} else if first == nil {
			first = err
		}
	}
	answer := object{"good": good, "seconds": time.Since(begun).Seconds()}
	if first != nil {
		answer["error"] = first.Error()
	}
	return answer, nil
}
