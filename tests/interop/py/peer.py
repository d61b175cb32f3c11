# SPDX-License-Identifier: Apache-2.0
"""A py-libp2p node driven over stdin and stdout, one JSON object a line, as
tests/interop/README.md says."""
import base64
import json
import logging
import os
import sys

import trio

from libp2p.tools.anyio_service import background_trio_service

import bulk
from node import Node
from streams import Streams


def say(line):
    os.write(1, (json.dumps(line) + "\n").encode())


class Peer:
    """The commands; each is a method by its name."""

    def __init__(self, node):
        self.node, self.streams = node, Streams()

    # -- connections ------------------------------------------------------

    async def dial(self, address, **_):
        return {"peer": await self.node.dial(address)}

    async def hangup(self, peer, **_):
        await self.node.host.disconnect(self.node.id_of(peer))

    async def ping(self, peer, **_):
        [took] = await self.node.pings.ping(self.node.id_of(peer))
        return {"ms": took}

    async def connections(self, **_):
        network = self.node.host.get_network()
        alive = {peer: conns for peer, conns in network.connections.items()
                 if conns}
        return {"peers": [str(peer) for peer in alive],
                "count": sum(len(conns) for conns in alive.values())}

    async def identified(self, peer, **_):
        return self.node.identified(self.node.id_of(peer))

    async def offer(self, protocol, **_):
        async def refuse(stream):
            await stream.reset()
        self.node.host.set_stream_handler(protocol, refuse)

    async def push(self, peer, **_):
        await self.node.push(self.node.id_of(peer))

    # -- the DHT ----------------------------------------------------------

    async def put(self, key, value, **_):
        acked = await self.node.put(base64.b64decode(key).decode(),
                                    base64.b64decode(value))
        return {"acked": [str(peer) for peer in acked]}

    async def get(self, key, **_):
        value = await self.node.dht.get_value(base64.b64decode(key).decode())
        found = [] if value is None else [value]
        return {"values": [{"value": base64.b64encode(v).decode()}
                           for v in found]}

    async def provide(self, key, **_):
        await self.node.dht.provider_store.provide(base64.b64decode(key))

    async def find(self, key, **_):
        found = await self.node.dht.provider_store.find_providers(
            base64.b64decode(key))
        return {"providers": [str(info.peer_id) for info in found]}

    async def closest(self, key, **_):
        routing = self.node.dht.peer_routing
        found = await routing.find_closest_peers_network(
            base64.b64decode(key))
        return {"peers": [str(peer) for peer in found]}

    async def table(self, **_):
        peers = self.node.dht.routing_table.get_peer_ids()
        return {"size": len(peers), "peers": [str(peer) for peer in peers]}

    async def stored(self, key, **_):
        record = self.node.dht.value_store.get(base64.b64decode(key))
        return {"record": record and {
            "value": base64.b64encode(record.value).decode()}}

    # -- gossip -----------------------------------------------------------

    async def publish(self, topic, data, **_):
        await self.node.pubsub.publish(topic, base64.b64decode(data))

    async def subscribe(self, topic, **_):
        await self.node.subscribe(topic)

    async def unsubscribe(self, topic, **_):
        await self.node.pubsub.unsubscribe(topic)

    async def subscribers(self, topic, **_):
        there = self.node.pubsub.peer_topics.get(topic, ())
        mesh = self.node.gossip.mesh.get(topic, ())
        versions = self.node.gossip.peer_protocol.items()
        return {"subscribers": [str(peer) for peer in there],
                "mesh": [str(peer) for peer in mesh],
                "versions": {str(peer): name.split("/")[2][:3]
                             for peer, name in versions}}

    # -- streams ----------------------------------------------------------

    async def open(self, peer, protocol, **_):
        stream = await self.node.host.new_stream(self.node.id_of(peer),
                                                 [protocol])
        return {"stream": self.streams.add(stream)}

    async def write(self, stream, data, times=1, ms=10000, **_):
        return await self.streams.write(stream, base64.b64decode(data), times,
                                        ms / 1000)

    async def read(self, stream, bytes=65536, ms=10000, **_):
        data, end = await self.streams.read(stream, bytes, ms / 1000)
        return {"data": base64.b64encode(data).decode(), "end": end}

    async def finish(self, stream, **_):
        await self.streams.find(stream).close_write()

    async def reset(self, stream, **_):
        await self.streams.find(stream).reset()

    async def bulk(self, peer, send, receive, **_):
        return await bulk.transfer(self.node.host, self.node.id_of(peer), send,
                                   receive)

    async def many(self, peer, count, concurrent, bytes, **_):
        return await bulk.many(self.node.host, self.node.id_of(peer), count,
                               concurrent, bytes)


async def answer(peer, question):
    try:
        name = {"streams": "many"}.get(question["do"], question["do"])
        result = await getattr(peer, name)(**question)
    except Exception as error:
        say({"id": question["id"], "ok": False,
             "error": f"{type(error).__name__}: {error}"})
    else:
        say({"id": question["id"], "ok": True, **(result or {})})


async def lines():
    """Each line of stdin."""
    left = b""
    async with trio.lowlevel.FdStream(os.dup(0)) as stdin:
        async for part in stdin:
            *whole, left = (left + part).split(b"\n")
            for line in whole:
                yield json.loads(line)


async def main():
    questions = lines()
    start = await anext(questions)
    async with trio.open_nursery() as nursery:
        node = Node(nursery, say, start)
        async with node.running(), background_trio_service(node.pubsub), \
                background_trio_service(node.gossip), \
                background_trio_service(node.dht):
            await node.pubsub.wait_until_ready()
            await node.subscribe(start["topic"])
            say({"id": start["id"], "ok": True,
                 "peer": str(node.host.get_id()),
                 "listen": [str(a) for a in node.host.get_addrs()]})
            peer = Peer(node)
            # Questions may overlap: an answer names its question.
            async for question in questions:
                nursery.start_soon(answer, peer, question)
            nursery.cancel_scope.cancel()


logging.basicConfig(stream=sys.stderr, level=logging.CRITICAL)
trio.run(main)
