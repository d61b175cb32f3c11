// SPDX-License-Identifier: Apache-2.0
// A js-libp2p node driven over stdin and stdout, one JSON object a line, as
// tests/interop/README.md says.
import { createInterface } from 'node:readline'
import { createHash } from 'node:crypto'
import { createLibp2p } from 'libp2p'
import { tcp } from '@libp2p/tcp'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { identify, identifyPush } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { gossipsub } from '@libp2p/gossipsub'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'

const BULK = '/souk/test/bulk/1.0.0'
const bytes = text => Uint8Array.from(Buffer.from(text, 'base64'))
const base64 = data => Buffer.from(data).toString('base64')
const say = value => process.stdout.write(JSON.stringify(value) + '\n')
const signal = ms => AbortSignal.timeout(ms ?? 20000)
const sha256 = data => createHash('sha256').update(data).digest()

let node

// How many messages came, and who waits for how many.
let heard = 0
let listeners = []

function tellListeners () {
  for (const listener of listeners) if (heard >= listener.count) listener.resolve({ heard })
  listeners = listeners.filter(listener => heard < listener.count)
}

// A record names its sequence; the higher is better, as on the souk network.
const sequence = value => {
  try {
    return JSON.parse(Buffer.from(value).toString()).souk?.sequence ?? 0
  } catch {
    return -1
  }
}

async function start ({ keyType = 'Ed25519', kad, topic, client = false, meshMax, gossipOld = false, bare = false, quiet = false }) {
  const mesh = meshMax == null ? {} : { D: meshMax, Dlo: 0, Dhi: meshMax, Dscore: 0, Dout: 0 }
  node = await createLibp2p({
    start: false,
    privateKey: await generateKeyPair(keyType),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    // By default more than ten before it is ready end the connection.
    streamMuxers: [yamux({ maxEarlyStreams: 512 })],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
    // Dials are measured; by default it takes five a second from one host.
    ...(bare ? { connectionManager: { inboundConnectionThreshold: Infinity } } : {}),
    services: bare ? {} : {
      identify: identify({ protocolPrefix: 'ipfs' }),
      identifyPush: identifyPush({ protocolPrefix: 'ipfs' }),
      ping: ping({ protocolPrefix: 'ipfs' }),
      dht: kadDHT({
        protocol: kad,
        clientMode: client,
        allowQueryWithZeroPeers: true,
        peerInfoMapper: passthroughMapper,
        validators: { souk: async () => {} },
        selectors: {
          souk: async (key, values) => values.reduce((best, value, i) =>
            sequence(value) > sequence(values[best]) ? i : best, 0)
        }
      }),
      pubsub: gossipsub({
        allowPublishToZeroTopicPeers: true,
        emitSelf: false,
        ...mesh,
        msgIdFn: message => sha256(message.data).subarray(0, 20)
      })
    }
  })
  // The library has no setting for what it offers.
  if (gossipOld) node.services.pubsub.protocols = ['/meshsub/1.1.0', '/meshsub/1.0.0']
  await node.start()
  await node.handle(BULK, serveBulk, { maxInboundStreams: 512, maxOutboundStreams: 512 })
  if (bare) return { peer: node.peerId.toString(), listen: node.getMultiaddrs().map(String) }
  node.addEventListener('connection:close', ({ detail }) => say({
    event: 'closed',
    peer: detail.remotePeer.toString(),
    left: node.getConnections(detail.remotePeer).length
  }))
  node.services.pubsub.addEventListener('message', ({ detail }) => {
    heard++
    tellListeners()
    if (quiet) return
    say({
      event: 'message',
      topic: detail.topic,
      from: detail.from?.toString(),
      data: base64(detail.data)
    })
  })
  node.services.pubsub.subscribe(topic)
  return {
    peer: node.peerId.toString(),
    listen: node.getMultiaddrs().map(String)
  }
}

// The bulk protocol: the opener says in 8 bytes how many it will send and in 8
// more how many it wants; both then do, and half-close.
async function serveBulk (stream) {
  try {
    const input = reader(stream)
    const head = await input.exactly(16)
    const incoming = head.readBigUInt64BE(0)
    const wanted = head.readBigUInt64BE(8)
    const hash = await input.hashed(incoming)
    await sendBulk(stream, wanted)
    await sendAll(stream, hash)
    await stream.close({ signal: signal(60000) })
  } catch (error) {
    stream.abort(error)
  }
}

// The stream's own iterator loses data that its end follows at once.
function reader (stream) {
  const chunks = []
  let ended = false
  let wake = () => {}
  let left = Buffer.alloc(0)
  stream.addEventListener('message', ({ data }) => {
    chunks.push(Buffer.from(data.subarray()))
    wake()
  })
  for (const end of ['remoteCloseWrite', 'close']) {
    stream.addEventListener(end, () => { ended = true; wake() })
  }
  const more = async () => {
    while (chunks.length === 0) {
      if (ended) throw new Error('the stream ended early')
      await new Promise(resolve => { wake = resolve })
    }
    return chunks.shift()
  }
  return {
    async exactly (n) {
      while (left.length < n) left = Buffer.concat([left, await more()])
      const got = left.subarray(0, n)
      left = left.subarray(n)
      return got
    },
    async hashed (n) {
      const hash = createHash('sha256')
      let missing = n
      while (missing > 0n) {
        if (left.length === 0) left = await more()
        const part = left.subarray(0, Number(missing < BigInt(left.length) ? missing : BigInt(left.length)))
        hash.update(part)
        left = left.subarray(part.length)
        missing -= BigInt(part.length)
      }
      return hash.digest()
    }
  }
}

// Streams the driver moves by hand, by their number.
const streams = new Map()

// Bytes as they come, by events, and how it ended.
function collect (stream) {
  const state = { stream, chunks: [], have: 0, end: null, wake: () => {} }
  const ends = why => () => { state.end ??= why; state.wake() }
  stream.addEventListener('message', ({ data }) => {
    state.chunks.push(Buffer.from(data.subarray()))
    state.have += data.byteLength
    state.wake()
  })
  stream.addEventListener('remoteCloseWrite', ends('eof'))
  stream.addEventListener('close', event => ends(event.error == null ? 'eof' : 'reset')())
  return state
}

// Resolves when something has come, or after |ms|.
function change (state, ms) {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms)
    state.wake = () => { clearTimeout(timer); resolve() }
  })
}

async function readSome ({ stream: number, bytes: most, ms }) {
  const state = streams.get(number)
  if (state.paused) state.stream.resume()
  state.paused = false
  const last = performance.now() + ms
  while (state.have < most && state.end == null && performance.now() < last) {
    await change(state, last - performance.now())
  }
  const all = Buffer.concat(state.chunks)
  const got = all.subarray(0, most)
  state.chunks = [all.subarray(got.length)]
  state.have = all.length - got.length
  return { data: base64(got), end: got.length === most ? 'open' : state.end ?? 'late' }
}

async function writeSome ({ stream: number, data, times = 1, ms = 10000 }) {
  const { stream } = streams.get(number)
  for (let i = 0; i < times; i++) {
    // What is written to a stream that was reset goes nowhere, silently; and
    // that it was is only heard between two events.
    await new Promise(resolve => setImmediate(resolve))
    if (stream.status !== 'open') throw new Error(`the stream is ${stream.status}`)
    if (stream.send(bytes(data))) continue
    try {
      await stream.onDrain({ signal: signal(ms) })
    } catch (error) {
      if (stream.status !== 'open') throw error
      return { written: i, stalled: true }
    }
  }
  return { written: times, stalled: false }
}

async function sendAll (stream, data) {
  if (!stream.send(data)) await stream.onDrain({ signal: signal(60000) })
}

async function sendBulk (stream, count) {
  const part = Buffer.alloc(64 * 1024)
  for (let i = 0; i < part.length; i++) part[i] = i % 251
  for (let left = count; left > 0n; left -= BigInt(part.length)) {
    const n = left < BigInt(part.length) ? Number(left) : part.length
    await sendAll(stream, part.subarray(0, n))
  }
}

// What sendBulk() sends, hashed; once for each count.
const hashes = new Map()
function bulkHash (count) {
  if (hashes.has(count)) return hashes.get(count)
  const hash = createHash('sha256')
  const part = Buffer.alloc(64 * 1024)
  for (let i = 0; i < part.length; i++) part[i] = i % 251
  for (let left = count; left > 0; left -= part.length) {
    hash.update(part.subarray(0, Math.min(left, part.length)))
  }
  hashes.set(count, hash.digest('hex'))
  return hashes.get(count)
}

async function bulk ({ peer, send, receive }) {
  const stream = await node.dialProtocol(peerIdFromString(peer), BULK, {
    signal: signal(60000),
    maxOutboundStreams: 512
  })
  const head = Buffer.alloc(16)
  head.writeBigUInt64BE(BigInt(send), 0)
  head.writeBigUInt64BE(BigInt(receive), 8)
  const input = reader(stream)
  const begun = performance.now()
  await sendAll(stream, head)
  await sendBulk(stream, BigInt(send))
  const got = (await input.hashed(BigInt(receive))).toString('hex')
  const told = (await input.exactly(32)).toString('hex')
  const seconds = (performance.now() - begun) / 1000
  await stream.close({ signal: signal() })
  return { seconds, received: got === bulkHash(receive), sent: told === bulkHash(send) }
}

// |count| transfers of |bytes| each way, a stream each, |concurrent| at once.
async function many ({ peer, count, concurrent, bytes }) {
  bulkHash(bytes) // not while it is measured
  const begun = performance.now()
  let left = count
  let good = 0
  let failure = null
  const worker = async () => {
    while (left-- > 0) {
      try {
        const { received, sent } = await bulk({ peer, send: bytes, receive: bytes })
        good += received && sent
      } catch (error) {
        failure ??= `${error.name}: ${error.message}`
      }
    }
  }
  await Promise.all(Array.from({ length: concurrent }, worker))
  return { good, error: failure, seconds: (performance.now() - begun) / 1000 }
}

async function identified (peer) {
  const known = await node.peerStore.get(peerIdFromString(peer))
  const text = name => known.metadata.get(name) && Buffer.from(known.metadata.get(name)).toString()
  return {
    protocols: known.protocols,
    agent: text('AgentVersion'),
    protocolVersion: text('ProtocolVersion'),
    addresses: known.addresses.map(a => a.multiaddr.toString()),
    hasRecord: known.peerRecordEnvelope != null
  }
}

const events = async (iterable, take) => {
  const seen = []
  for await (const event of iterable) if (take(event)) seen.push(event)
  return seen
}

const commands = {
  start,
  async dial ({ address }) {
    const connection = await node.dial(multiaddr(address), { signal: signal() })
    return { peer: connection.remotePeer.toString(), muxer: connection.multiplexer, encryption: connection.encryption }
  },
  // One after the other: dialled, closed, dialled again.
  async dials ({ address, count }) {
    const begun = performance.now()
    for (let i = 0; i < count; i++) {
      const connection = await node.dial(multiaddr(address), { signal: signal() })
      await connection.close()
    }
    return { seconds: (performance.now() - begun) / 1000 }
  },
  hangup: async ({ peer }) => { await node.hangUp(peerIdFromString(peer)) },
  identified: async ({ peer }) => identified(peer),
  ping: async ({ peer }) => ({ ms: await node.services.ping.ping(peerIdFromString(peer), { signal: signal() }) }),
  async put ({ key, value, ms }) {
    const seen = await events(node.services.dht.put(bytes(key), bytes(value), { signal: signal(ms) }),
      event => event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE')
    return { acked: seen.map(event => event.from.toString()) }
  },
  async get ({ key, ms }) {
    const seen = await events(node.services.dht.get(bytes(key), { signal: signal(ms) }),
      event => event.name === 'VALUE')
    return { values: seen.map(event => ({ from: event.from.toString(), value: base64(event.value) })) }
  },
  async provide ({ key, ms }) {
    const cid = CID.createV1(0x55, Digest.decode(bytes(key)))
    await events(node.services.dht.provide(cid, { signal: signal(ms) }), () => false)
    return {}
  },
  async find ({ key, ms }) {
    const cid = CID.createV1(0x55, Digest.decode(bytes(key)))
    const seen = await events(node.services.dht.findProviders(cid, { signal: signal(ms) }),
      event => event.name === 'PROVIDER')
    return { providers: seen.flatMap(event => event.providers.map(p => p.id.toString())) }
  },
  async closest ({ key, ms }) {
    const seen = await events(node.services.dht.getClosestPeers(bytes(key), { signal: signal(ms) }),
      event => event.name === 'FINAL_PEER')
    return { peers: seen.map(event => event.peer.id.toString()) }
  },
  async publish ({ topic, data }) {
    const { recipients } = await node.services.pubsub.publish(topic, bytes(data))
    return { recipients: recipients.map(String) }
  },
  heard: ({ count }) => new Promise(resolve => {
    listeners.push({ count, resolve })
    tellListeners()
  }),
  // So many small messages, no two alike, at once.
  async burst ({ topic, first = 0, count }) {
    for (let i = first; i < first + count; i++) {
      await node.services.pubsub.publish(topic, Buffer.from(`${String(i).padStart(8)} of ${node.peerId}`))
    }
  },
  subscribers: async ({ topic }) => ({
    subscribers: node.services.pubsub.getSubscribers(topic).map(String),
    mesh: node.services.pubsub.getMeshPeers(topic),
    versions: Object.fromEntries([...node.services.pubsub.streamsOutbound].map(
      ([id, stream]) => [id, stream.protocol.match(/\d+\.\d+/)[0]]))
  }),
  subscribe: async ({ topic }) => { node.services.pubsub.subscribe(topic) },
  unsubscribe: async ({ topic }) => { node.services.pubsub.unsubscribe(topic) },
  table: async () => {
    const peers = []
    for (const peer of node.services.dht.routingTable.kb.toIterable()) peers.push(peer.peerId.toString())
    return { size: peers.length, peers }
  },
  connections: async () => ({
    peers: node.getPeers().map(String),
    count: node.getConnections().length
  }),
  offer: async ({ protocol }) => { await node.handle(protocol, stream => stream.abort(new Error('offered only'))) },
  push: async () => { await node.services.identifyPush.push() },
  async open ({ peer, protocol, paused }) {
    const stream = await node.dialProtocol(peerIdFromString(peer), protocol, { signal: signal() })
    if (paused) stream.pause()
    const number = streams.size + 1
    streams.set(number, Object.assign(collect(stream), { paused }))
    return { stream: number }
  },
  write: writeSome,
  read: readSome,
  finish: async ({ stream }) => { await streams.get(stream).stream.close({ signal: signal() }) },
  reset: async ({ stream }) => { streams.get(stream).stream.abort(new Error('reset on purpose')) },
  bulk,
  streams: many,
  stop: async () => { await node?.stop() }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, ...rest } = JSON.parse(line)
  const work = async () => commands[name](rest)
  // Commands may overlap: the answer names the question.
  work().then(
    result => say({ id, ok: true, ...result }),
    error => say({ id, ok: false, error: `${error.name}: ${error.message}` })
  ).finally(() => { if (name === 'stop') process.exit(0) })
}
