// SPDX-License-Identifier: Apache-2.0
//
// Records what js-libp2p's Noise says to itself, with all its keys known, as
// tests/unit/vectors/noise_js.h.  Run it with node 22 or later where
// these are installed (without muxers js says an empty list and souk says none,
// so that case has no bytes in common):
//
//   npm i @chainsafe/libp2p-noise@17.0.0 @libp2p/crypto @libp2p/logger \
//         @libp2p/peer-id @libp2p/utils
//   node noise_js.mjs > noise_js.h
import { noise, pureJsCrypto } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddrConnectionPair } from '@libp2p/utils'

const fill = (byte, n = 32) => new Uint8Array(n).fill(byte)
const hex = (bytes) => Buffer.from(bytes).toString('hex')

// One side: its identity, Noise key and ephemeral key made of three bytes.
async function side (bytes, muxers) {
  const [identity, fixed, ephemeral] = bytes.map(b => fill(b))
  const privateKey = await generateKeyPairFromSeed('Ed25519', identity)
  const peerId = peerIdFromPrivateKey(privateKey)
  const crypto = {
    ...pureJsCrypto,
    generateX25519KeyPair: () =>
      pureJsCrypto.generateX25519KeyPairFromSeed(ephemeral)
  }
  const upgrader = {
    getStreamMuxers: () => new Map(muxers.map(m => [m, { protocol: m }]))
  }
  const make = noise({ crypto, staticNoiseKey: fixed })
  const encrypter = make({
    privateKey, peerId, upgrader, logger: defaultLogger()
  })
  return { identity, fixed, ephemeral, peerId, encrypter, muxers }
}

function record (connection, from, log) {
  const send = connection.send.bind(connection)
  connection.send = (data) => {
    log.push({ from, bytes: hex(data.subarray()) })
    return send(data)
  }
}

// Resolves when |n| bytes have come out at the other end.
function received (connection, n) {
  return new Promise(resolve => {
    let have = 0
    connection.addEventListener('message', ev => {
      have += ev.data.byteLength
      if (have >= n) resolve()
    })
  })
}

// Consecutive writes of one side are one flight.
function flights (log) {
  const merged = []
  for (const { from, bytes } of log) {
    const last = merged.at(-1)
    if (last?.from === from) last.bytes += bytes
    else merged.push({ from, bytes })
  }
  return merged
}

async function transcript (name, dialerMuxers, listenerMuxers) {
  const dialer = await side([1, 2, 3], dialerMuxers)
  const listener = await side([4, 5, 6], listenerMuxers)
  const [out, into] = multiaddrConnectionPair()
  const log = []
  record(out, 'dialer', log)
  record(into, 'listener', log)
  const [a, b] = await Promise.all([
    dialer.encrypter.secureOutbound(out, { remotePeer: listener.peerId }),
    listener.encrypter.secureInbound(into)
  ])
  const there = new TextEncoder().encode('said by the dialer')
  const back = new TextEncoder().encode('said by the listener')
  let heard = received(b.connection, there.length)
  a.connection.send(there)
  await heard
  heard = received(a.connection, back.length)
  b.connection.send(back)
  await heard

  const said = flights(log)
  const quoted = (bytes) => bytes.match(/.{1,70}/g)
    .map(s => `     "${s}"`).join('\n')
  return [
    '    {',
    `     "${name}",`,
    `     "${dialer.peerId}",`,
    `     "${listener.peerId}",`,
    `     "${dialerMuxers.join(' ')}",`,
    `     "${listenerMuxers.join(' ')}",`,
    `     "${a.streamMuxer?.protocol ?? ''}",`,
    '     {',
    said.map(f => `     /* ${f.from} */\n${quoted(f.bytes)}`).join(',\n'),
    '     },',
    '    },'
  ].join('\n')
}

const yamux = '/yamux/1.0.0'
const all = [
  await transcript('the same muxer', [yamux], [yamux]),
  // One in common: with several, js's dialer takes the listener's first.
  await transcript('one of two muxers', ['/a', yamux], [yamux, '/b'])
]
console.log(`/* SPDX-License-Identifier: Apache-2.0
 *
 * Made by noise_js.mjs of @chainsafe/libp2p-noise 17.0.0 on both sides.  The
 * dialer's identity seed, Noise key and ephemeral key are 32 times 1, 2, 3, the
 * listener's 4, 5, 6.  Dialer and listener take turns, each says a flight: the
 * three messages of the handshake, the third along with "said by the dialer",
 * then "said by the listener". */
/* clang-format off */
static const struct js_transcript {
    const char *name, *dialer, *listener;
    const char *dialer_muxers, *listener_muxers; /* separated by spaces */
    const char *muxer; /* agreed on, or empty */
    const char *flights[4]; /* hex */
} js_transcripts[] = {
${all.join('\n')}
};
/* clang-format on */`)
process.exit(0)
