# SPDX-License-Identifier: Apache-2.0
"""A py-libp2p node as an ordinary program would set it up."""
import contextvars
import hashlib
import json

import multiaddr
import trio

import libp2p
from libp2p.crypto import ed25519, rsa, secp256k1
from libp2p.host import basic_host
from libp2p.host.ping import PingService
from libp2p.identity.identify_push import identify_push
from libp2p.kad_dht import (kad_dht, peer_routing, provider_store,
                            routing_table, value_store)
from libp2p.kad_dht import common as kad_common
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import (PROTOCOL_ID, PROTOCOL_ID_V11,
                                     PROTOCOL_ID_V12, GossipSub)
from libp2p.pubsub.pubsub import Pubsub
from libp2p.records.validator import NamespacedValidator, Validator

import bulk

LISTEN = "/ip4/127.0.0.1/tcp/0"
IDENTIFY_WITHIN_S = 10


def key_pair(of):
    return {"Ed25519": ed25519.create_new_key_pair,
            "secp256k1": secp256k1.create_new_key_pair,
            "RSA": rsa.create_new_key_pair}[of]()


def name_kad(protocol):
    """The library has no setting for it: the name is a constant, of which each
    of its modules has a copy."""
    for module in (kad_common, kad_dht, peer_routing, provider_store,
                   routing_table, value_store):
        if hasattr(module, "PROTOCOL_ID"):
            module.PROTOCOL_ID = protocol


class Records(Validator):
    """Of records the one with the higher sequence is the better, as on the
    souk network."""

    def validate(self, key, value):
        json.loads(value)

    def select(self, key, values):
        def sequence(i):
            return json.loads(values[i]).get("souk", {}).get("sequence", 0)
        return max(range(len(values)), key=sequence)


def message_id(message):
    return hashlib.sha256(message.data).digest()[:20]


class Notifee:
    """Tells when a peer comes and when it leaves."""

    def __init__(self, came, left):
        self.came, self.left = came, left

    async def connected(self, network, conn):
        self.came(conn.muxed_conn.peer_id)

    async def disconnected(self, network, conn):
        self.left(conn.muxed_conn.peer_id)

    async def opened_stream(self, network, stream):
        pass

    async def closed_stream(self, network, stream):
        pass

    async def listen(self, network, address):
        pass

    async def listen_close(self, network, address):
        pass


# Who took what is being put.
acked = contextvars.ContextVar("acked")


class Node:
    def __init__(self, nursery, say, start):
        self.nursery, self.say = nursery, say
        self.kad, self.told = start["kad"], {}
        self.news = trio.Event()  # somebody has told more
        name_kad(self.kad)
        self._listen_to_identify()
        self.host = libp2p.new_host(key_pair(start.get("keyType", "Ed25519")))
        self.host.set_stream_handler(bulk.PROTOCOL, bulk.serve)
        self.pings = PingService(self.host)
        self.host.get_network().register_notifee(
            Notifee(self._came, self._left))
        self._make_gossip(start.get("meshMax"), start.get("gossipOld"))
        mode = kad_dht.DHTMode.CLIENT if start.get("client") else \
            kad_dht.DHTMode.SERVER
        self.dht = kad_dht.KadDHT(
            self.host, mode,
            validator=NamespacedValidator({"souk": Records()}))
        self._listen_to_puts()

    def _make_gossip(self, mesh_max, is_old):
        mesh = {"degree": 6, "degree_low": 4, "degree_high": 12}
        if mesh_max is not None:
            mesh = {"degree": mesh_max, "degree_low": 0,
                    "degree_high": mesh_max}
        self.gossip = GossipSub(
            protocols=[*([] if is_old else [PROTOCOL_ID_V12]),
                       PROTOCOL_ID_V11, PROTOCOL_ID],
            heartbeat_interval=1, **mesh)
        self.pubsub = Pubsub(self.host, self.gossip,
                             msg_id_constructor=message_id)

    def running(self):
        return self.host.run([multiaddr.Multiaddr(LISTEN)])

    @staticmethod
    def id_of(text):
        return ID.from_base58(text)

    async def dial(self, address):
        info = info_from_p2p_addr(multiaddr.Multiaddr(address))
        await self.host.connect(info)
        return str(info.peer_id)

    # -- who comes and goes -----------------------------------------------

    def _came(self, peer):
        self.nursery.start_soon(self._learn, peer)

    def _left(self, peer):
        left = self.host.get_network().get_connections(peer)
        self.say({"event": "closed", "peer": str(peer), "left": len(left)})

    async def _learn(self, peer):
        """Take it into the routing table if it is a server, which the library
        leaves to its user."""
        with trio.move_on_after(IDENTIFY_WITHIN_S):
            while peer not in self.told:
                await self.news.wait()
            if self.kad in self.told[peer].protocols:
                await self.dht.add_peer(peer)

    # -- identify ---------------------------------------------------------

    def _listen_to_identify(self):
        """The library keeps neither agent nor version of a peer."""
        update = basic_host.update_peerstore_from_identify

        async def listen(peerstore, peer, message):
            await update(peerstore, peer, message)
            self.told[peer] = message
            self.news.set()
            self.news = trio.Event()

        basic_host.update_peerstore_from_identify = listen
        identify_push.update_peerstore_from_identify = listen

    async def push(self, peer):
        if not await identify_push.push_identify_to_peer(self.host, peer):
            raise RuntimeError("the push has failed")

    def identified(self, peer):
        if peer not in self.told:
            return {"agent": None}
        message, store = self.told[peer], self.host.get_peerstore()
        return {"agent": message.agent_version,
                "protocolVersion": message.protocol_version,
                "protocols": list(store.get_protocols(peer)),
                "addresses": [str(a) for a in store.addrs(peer)],
                "hasRecord": store.get_peer_record(peer) is not None}

    # -- the DHT ----------------------------------------------------------

    def _listen_to_puts(self):
        """The library tells nobody who has taken a record."""
        store = self.dht.value_store._store_at_peer

        async def listen(peer, *arguments, **more):
            is_taken = await store(peer, *arguments, **more)
            if is_taken and peer != self.host.get_id():
                acked.get([]).append(peer)
            return is_taken

        self.dht.value_store._store_at_peer = listen

    async def put(self, key, value):
        took = []
        acked.set(took)
        await self.dht.put_value(key, value)
        return took

    # -- gossip -----------------------------------------------------------

    async def subscribe(self, topic):
        subscription = await self.pubsub.subscribe(topic)
        self.nursery.start_soon(self._tell_messages, topic, subscription)

    async def _tell_messages(self, topic, subscription):
        async for message in subscription:
            author = ID(message.from_id)
            if author != self.host.get_id():
                self.say({"event": "message", "topic": topic,
                          "from": str(author),
                          "data": bulk.base64(message.data)})
