// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	id "github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// options is what "start" may say.
type options struct {
	KeyType string `json:"keyType"`
	// NoEarly: name no muxers in the Noise handshake.
	NoEarly bool `json:"noEarly"`
	// StreamsMax: how many streams a peer may have open here; 0 is no limit.
	StreamsMax int `json:"streamsMax"`
	// Bare: nothing is spoken but what the driver says.
	Bare bool `json:"bare"`
}

type peer struct {
	host    host.Host
	streams streams

	lock sync.Mutex
	told map[id.ID]event.EvtPeerIdentificationCompleted
}

func key(of string) (crypto.PrivKey, error) {
	types := map[string]int{"": crypto.Ed25519, "Ed25519": crypto.Ed25519,
		"RSA": crypto.RSA, "ECDSA": crypto.ECDSA,
		"secp256k1": crypto.Secp256k1}
	number, is := types[of]
	if !is {
		return nil, fmt.Errorf("no key type %s", of)
	}
	private, _, err := crypto.GenerateKeyPairWithReader(number, 2048,
		rand.Reader)
	return private, err
}

// lateNoise is Noise as an older library speaks it.
func lateNoise(name protocol.ID, key crypto.PrivKey) (*noise.Transport,
	error) {
	return noise.New(name, key, nil)
}

func limits(o *options) (network.ResourceManager, error) {
	if o.StreamsMax == 0 {
		return &network.NullResourceManager{}, nil
	}
	most := rcmgr.PartialLimitConfig{PeerDefault: rcmgr.ResourceLimits{
		StreamsInbound: rcmgr.LimitVal(o.StreamsMax)}}
	return rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(most.Build(rcmgr.InfiniteLimits)))
}

// agent names the library that this program was made with.
func agent() string {
	if build, is := debug.ReadBuildInfo(); is {
		for _, module := range build.Deps {
			if module.Path == "github.com/libp2p/go-libp2p" {
				return "go-libp2p/" + module.Version
			}
		}
	}
	return "go-libp2p"
}

func start(o *options) (*peer, error) {
	private, err := key(o.KeyType)
	if err != nil {
		return nil, err
	}
	if o.Bare {
		h, err := bareHost(private)
		if err != nil {
			return nil, err
		}
		return &peer{host: h}, nil
	}
	manager, err := limits(o)
	if err != nil {
		return nil, err
	}
	// In the library's own order: it proposes TLS first.
	security := libp2p.ChainOptions(libp2p.Security(tls.ID, tls.New),
		libp2p.Security(noise.ID, noise.New))
	if o.NoEarly {
		security = libp2p.Security(noise.ID, lateNoise)
	}
	h, err := libp2p.New(libp2p.Identity(private), libp2p.UserAgent(agent()),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport), security,
		libp2p.ResourceManager(manager), libp2p.DisableRelay())
	if err != nil {
		return nil, err
	}
	h.SetStreamHandler(bulkName, serveBulk)
	h.Network().Notify(&network.NotifyBundle{
		DisconnectedF: func(n network.Network, c network.Conn) {
			say(object{"event": "closed", "peer": c.RemotePeer().String(),
				"left": len(n.ConnsToPeer(c.RemotePeer()))})
		}})
	heard, err := h.EventBus().Subscribe(
		new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, err
	}
	p := &peer{host: h,
		told: make(map[id.ID]event.EvtPeerIdentificationCompleted)}
	go p.hear(heard.Out())
	return p, nil
}

func (p *peer) listen() []string {
	var all []string
	for _, address := range p.host.Network().ListenAddresses() {
		all = append(all, fmt.Sprintf("%s/p2p/%s", address, p.host.ID()))
	}
	return all
}

// do carries out one command.
func (p *peer) do(q *question) (object, error) {
	if p == nil {
		return nil, errors.New("not started")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	switch q.Do {
	case "dial":
		return p.dial(ctx, q)
	case "dials":
		return p.dials(ctx, q)
	case "connections":
		peers := p.host.Network().Peers()
		return object{"peers": peers,
			"count": len(p.host.Network().Conns())}, nil
	case "offer":
		// Identify pushes what changed by itself.
		p.host.SetStreamHandler(protocol.ID(q.Protocol),
			func(s network.Stream) { s.Reset() })
		return object{}, nil
	case "write", "read", "finish", "reset":
		return p.streams.do(q)
	}

	other, err := id.Decode(q.Peer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.Do, err)
	}
	switch q.Do {
	case "hangup":
		return object{}, p.host.Network().ClosePeer(other)
	case "identified":
		return p.identified(other), nil
	case "ping":
		return pinged(<-ping.Ping(ctx, p.host, other))
	case "open":
		stream, err := p.host.NewStream(ctx, other, protocol.ID(q.Protocol))
		if err != nil {
			return nil, err
		}
		return object{"stream": p.streams.add(stream)}, nil
	case "bulk":
		return p.bulk(ctx, other, q.Send, q.Receive)
	case "streams":
		return p.many(ctx, other, q)
	}
	return nil, fmt.Errorf("no command %s", q.Do)
}

func pinged(result ping.Result) (object, error) {
	return object{"ms": float64(result.RTT) / 1e6}, result.Error
}

func (p *peer) dial(ctx context.Context, q *question) (object, error) {
	info, err := id.AddrInfoFromString(q.Address)
	if err != nil {
		return nil, err
	}
	if err := p.host.Connect(ctx, *info); err != nil {
		return nil, err
	}
	conns := p.host.Network().ConnsToPeer(info.ID)
	if len(conns) == 0 {
		return nil, errors.New("closed at once")
	}
	state := conns[0].ConnState()
	return object{"peer": info.ID.String(), "muxer": state.StreamMultiplexer,
		"encryption": state.Security,
		"early":      state.UsedEarlyMuxerNegotiation}, nil
}

// hear keeps what identify has told of each peer; those who ask for it see
// the newest.
func (p *peer) hear(events <-chan any) {
	for e := range events {
		told := e.(event.EvtPeerIdentificationCompleted)
		p.lock.Lock()
		p.told[told.Peer] = told
		p.lock.Unlock()
	}
}

func (p *peer) identified(other id.ID) object {
	p.lock.Lock()
	told, is := p.told[other]
	p.lock.Unlock()
	if !is {
		return object{"agent": nil}
	}
	// The protocols and addresses are those the library goes by.
	protocols, _ := p.host.Peerstore().GetProtocols(other)
	return object{"agent": told.AgentVersion,
		"protocolVersion": told.ProtocolVersion, "protocols": protocols,
		"addresses": p.host.Peerstore().Addrs(other),
		"observed":  told.ObservedAddr,
		"hasRecord": told.SignedPeerRecord != nil}
}
