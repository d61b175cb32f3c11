// SPDX-License-Identifier: Apache-2.0
//
// Writes gossip_js.h or identify_js.h: what js-libp2p puts on the wire.  Run it
// with node 20 or later where these are installed:
//
//   npm i @libp2p/gossipsub@17 @libp2p/identify @libp2p/crypto \
//         @libp2p/peer-id @libp2p/peer-record @multiformats/multiaddr
//   node gossip_js.mjs gossip > gossip_js.h
//   node gossip_js.mjs identify > identify_js.h
import {
  generateKeyPair, generateKeyPairFromSeed, publicKeyToProtobuf
} from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import { multiaddr } from '@multiformats/multiaddr'

const inside = (path) => import(`${process.cwd()}/node_modules/@libp2p/${path}`)
const { buildRawMessage } =
  await inside('gossipsub/dist/src/utils/buildRawMessage.js')
const { RPC } = await inside('gossipsub/dist/src/message/rpc.js')
const { Identify } = await inside('identify/dist/src/pb/message.js')

const topic = '/souk/packages/v1'
const text = (s) => new TextEncoder().encode(s)
const id = (byte) => new Uint8Array(20).fill(byte)
const macro = (name, bytes) => {
  const lines = Buffer.from(bytes).toString('hex').match(/.{1,64}/g)
  console.log(`\n#define ${name} \\\n` +
    lines.map(s => `    "${s}"`).join(' \\\n'))
}
const head = (guard, about) => console.log(
  `/* SPDX-License-Identifier: Apache-2.0 */\n#ifndef ${guard}\n` +
  `#define ${guard}\n\n/* ${about} */\n/* clang-format off */`)

const ed25519 = await generateKeyPairFromSeed('Ed25519',
  new Uint8Array(32).map((_, i) => i))

async function gossip () {
  head('VECTORS_GOSSIP_JS_H', 'Made by gossip_js.mjs of js-libp2p: RPCs with ' +
    'one message "hello\n * from js" on /souk/packages/v1, signed by a key of ' +
    'each kind.')
  const keys = {
    ED25519: ed25519,
    SECP256K1: await generateKeyPair('secp256k1'),
    RSA: await generateKeyPair('RSA', 2048)
  }
  for (const [name, privateKey] of Object.entries(keys)) {
    const author = peerIdFromPrivateKey(privateKey)
    const key = publicKeyToProtobuf(privateKey.publicKey)
    const data = text('hello from js')
    const { raw, msg } = await buildRawMessage(
      { type: 0, author, privateKey, key }, topic, data, data)
    console.log(`\n#define JS_${name}_PEER \\\n    "${author}"`)
    console.log(`#define JS_${name}_SEQNO "${msg.sequenceNumber}"`)
    macro(`JS_${name}_RPC`, RPC.encode({ subscriptions: [], messages: [raw] }))
  }
  console.log('\n/* Subscribes to the topic, unsubscribes "other"; IHAVE of id ' +
    '07..07, IWANT\n * of 08..08, GRAFT of the topic, PRUNE of the other for ' +
    '60 s. */')
  macro('JS_CONTROL_RPC', RPC.encode({
    subscriptions: [{ subscribe: true, topic },
      { subscribe: false, topic: 'other' }],
    messages: [],
    control: {
      ihave: [{ topicID: topic, messageIDs: [id(7)] }],
      iwant: [{ messageIDs: [id(8)] }],
      graft: [{ topicID: topic }],
      prune: [{ topicID: 'other', peers: [], backoff: 60 }],
      idontwant: []
    }
  }))
  console.log('\n#endif /* VECTORS_GOSSIP_JS_H */')
}

async function identify () {
  const peerId = peerIdFromPrivateKey(ed25519)
  head('VECTORS_IDENTIFY_JS_H', 'Made by gossip_js.mjs of js-libp2p with the ' +
    'Ed25519 key of the seed\n * 00 01 02 … 1f: a record of ' +
    '/ip4/203.0.113.7/tcp/4001 and\n * /dns4/js.example.org/tcp/443/wss with ' +
    'sequence 1762122000000, and an\n * identify message that holds it and ' +
    'tells the address /ip4/192.0.2.1/tcp/1.')
  console.log(`#define JS_PEER "${peerId}"`)
  const envelope = await RecordEnvelope.seal(new PeerRecord({
    peerId,
    multiaddrs: [multiaddr('/ip4/203.0.113.7/tcp/4001'),
      multiaddr('/dns4/js.example.org/tcp/443/wss')],
    seqNumber: 1762122000000n
  }), ed25519)
  macro('JS_ENVELOPE', envelope.marshal())
  macro('JS_IDENTIFY', Identify.encode({
    publicKey: publicKeyToProtobuf(ed25519.publicKey),
    listenAddrs: [multiaddr('/ip4/192.0.2.1/tcp/1').bytes],
    protocols: ['/ipfs/ping/1.0.0', '/meshsub/1.2.0'],
    observedAddr: multiaddr('/ip4/198.51.100.9/tcp/33333').bytes,
    protocolVersion: 'ipfs/0.1.0',
    agentVersion: 'js-libp2p/3.3.8',
    signedPeerRecord: envelope.marshal()
  }))
  console.log('\n#endif /* VECTORS_IDENTIFY_JS_H */')
}

await (process.argv[2] === 'identify' ? identify() : gossip())
