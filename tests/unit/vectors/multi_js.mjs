// SPDX-License-Identifier: Apache-2.0
//
// Writes tests/unit/vectors/multi_js.h: keys, signatures, peer ids and addresses
// as js-libp2p has them (but not ECDSA keys, which it writes in a form of its
// own).  Run it with node 22 or later where these are installed:
//
//   npm i @libp2p/crypto@5 @libp2p/peer-id@6 @multiformats/multiaddr@13 \
//         multiformats@13
//   node multi_js.mjs > multi_js.h
import {
  generateKeyPair, generateKeyPairFromSeed, privateKeyFromProtobuf,
  publicKeyToProtobuf
} from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { base36 } from 'multiformats/bases/base36'

const hex = (bytes) => Buffer.from(bytes).toString('hex')
const quoted = (text) => (text.match(/.{1,70}/g) ?? [''])
  .map(s => `     "${s}"`).join('\n')

// Of peer-ids.md#test-vectors.
const secp256k1 = '0802122053DADF1D5A164D6B4ACDB15E24AA4C5B1D3461BDBD42ABEDB0A' +
  '4404D56CED8FB'
const keys = [
  ['Ed25519', await generateKeyPairFromSeed('Ed25519', new Uint8Array(32))],
  ['secp256k1', privateKeyFromProtobuf(Buffer.from(secp256k1, 'hex'))],
  ['RSA 2048', await generateKeyPair('RSA', 2048)],
  ['RSA 8192', await generateKeyPair('RSA', 8192)]
]

const rows = []
for (const [name, key] of keys) {
  const id = peerIdFromPrivateKey(key)
  const sig = await key.sign(new TextEncoder().encode('a message'))
  rows.push(['    {', `     "${name}",`,
    quoted(hex(publicKeyToProtobuf(key.publicKey))) + ',',
    quoted(hex(sig)) + ',',
    `     "${id}",`,
    `     "${id.toCID()}",`,
    `     "${id.toCID().toString(base36)}",`,
    '    },'].join('\n'))
}

const peer = 'p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const addresses = [
  '/ip4/127.0.0.1/tcp/4001',
  '/ip4/255.255.255.255/udp/65535/quic-v1',
  '/ip4/1.2.3.4/udp/1/quic',
  '/ip6/::1/tcp/0',
  '/ip6/2001:db8::ff00:42:8329/tcp/443/tls/ws',
  '/dns/example.com/tcp/443/wss',
  '/dns4/example.com/tcp/443/tls/sni/example.org/ws',
  '/dns6/example.com/tcp/80/ws',
  '/dnsaddr/bootstrap.example.org',
  `/dnsaddr/bootstrap.example.org/${peer}`,
  `/ip4/9.8.7.6/tcp/4001/${peer}`,
  `/ip4/9.8.7.6/tcp/4001/${peer}/p2p-circuit`,
  `/ip4/9.8.7.6/tcp/4001/${peer}/p2p-circuit/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N`,
  '/ip4/1.2.3.4/udp/4001/quic-v1/webtransport/certhash/' +
    'uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ',
  '/ip4/1.2.3.4/udp/4001/webrtc-direct/certhash/' +
    'uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ',
  `/${peer}`,
  '/p2p-circuit'
]

console.log(`/* SPDX-License-Identifier: Apache-2.0
 *
 * Made by multi_js.mjs of js-libp2p.  Signatures are of "a message". */
/* clang-format off */
static const struct js_key {
    const char *name;
    const char *protobuf, *signature;     /* hex */
    const char *base58, *base32, *base36; /* the peer id */
} js_keys[] = {
${rows.join('\n')}
};

static const struct js_address {
    const char *text;
    const char *bytes; /* hex */
} js_addresses[] = {
${addresses.map(a =>
    `    {\n${quoted(a)},\n${quoted(hex(multiaddr(a).bytes))},\n    },`
  ).join('\n')}
};
/* clang-format on */`)
