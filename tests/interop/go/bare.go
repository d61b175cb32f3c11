// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	id "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/sec"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// bareHost is connections and nothing on them: no identify, which a host of
// the library always speaks.
func bareHost(private crypto.PrivKey) (host.Host, error) {
	self, err := id.IDFromPrivateKey(private)
	if err != nil {
		return nil, err
	}
	store, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	if err := store.AddPrivKey(self, private); err != nil {
		return nil, err
	}
	s, err := swarm.NewSwarm(self, store, eventbus.NewBus())
	if err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID,
		Muxer: yamux.DefaultTransport}}
	secure, err := noise.New(noise.ID, private, muxers)
	if err != nil {
		return nil, err
	}
	up, err := upgrader.New([]sec.SecureTransport{secure}, muxers, nil, nil,
		nil)
	if err != nil {
		return nil, err
	}
	transport, err := tcp.NewTCPTransport(up, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := s.AddTransport(transport); err != nil {
		return nil, err
	}
	address, err := multiaddr.NewMultiaddr("/ip4/127.0.0.1/tcp/0")
	if err != nil {
		return nil, err
	}
	if err := s.Listen(address); err != nil {
		return nil, err
	}
	return blankhost.NewBlankHost(s), nil
}

// dials makes connections one after the other: dialled, closed, dialled again.
func (p *peer) dials(ctx context.Context, q *question) (object, error) {
	info, err := id.AddrInfoFromString(q.Address)
	if err != nil {
		return nil, err
	}
	p.host.Peerstore().AddAddrs(info.ID, info.Addrs,
		peerstore.PermanentAddrTTL)
	begun := time.Now()
	for range q.Count {
		// Anew even where the last one's end has not been heard of.
		one, err := p.host.Network().DialPeer(
			network.WithForceDirectDial(ctx, "one by one"), info.ID)
		if err != nil {
			return nil, err
		}
		if err := one.Close(); err != nil {
			return nil, err
		}
	}
	return object{"seconds": time.Since(begun).Seconds()}, nil
}
