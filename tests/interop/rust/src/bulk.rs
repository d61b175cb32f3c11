// SPDX-License-Identifier: Apache-2.0
//! Bytes by the gigabyte.  The opener says in 8 bytes (BE) how many it sends
//! and in 8 more how many it wants; the other takes the first, sends the second
//! and the SHA-256 of what it got.
use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::swarm::Stream;
use sha2::{Digest, Sha256};

pub const PROTOCOL: &str = "/souk/test/bulk/1.0.0";
const PART: usize = 64 * 1024;

fn part() -> Vec<u8> {
    (0..PART).map(|i| (i % 251) as u8).collect()
}

async fn send(stream: &mut Stream, count: u64) -> io::Result<()> {
    let part = part();
    let mut left = count;
    while left > 0 {
        let n = left.min(PART as u64) as usize;
        stream.write_all(&part[..n]).await?;
        left -= n as u64;
    }
    stream.flush().await
}

/// The SHA-256 of the next |count| bytes.
async fn receive(stream: &mut Stream, count: u64) -> io::Result<[u8; 32]> {
    let mut buffer = vec![0; PART];
    let mut hash = Sha256::new();
    let mut left = count;
    while left > 0 {
        let most = left.min(PART as u64) as usize;
        let n = stream.read(&mut buffer[..most]).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&buffer[..n]);
        left -= n as u64;
    }
    Ok(hash.finalize().into())
}

/// What send() sends, hashed.
pub fn expected(count: u64) -> [u8; 32] {
    let part = part();
    let mut hash = Sha256::new();
    let mut left = count;
    while left > 0 {
        let n = left.min(PART as u64) as usize;
        hash.update(&part[..n]);
        left -= n as u64;
    }
    hash.finalize().into()
}

pub async fn serve(mut stream: Stream) -> io::Result<()> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let incoming = u64::from_be_bytes(head[..8].try_into().unwrap());
    let wanted = u64::from_be_bytes(head[8..].try_into().unwrap());
    let hash = receive(&mut stream, incoming).await?;
    send(&mut stream, wanted).await?;
    stream.write_all(&hash).await?;
    stream.close().await
}

pub struct Moved {
    pub seconds: f64,
    /// The hashes of what came, and of what the other says came.
    pub got: [u8; 32],
    pub told: [u8; 32],
}

pub async fn transfer(stream: &mut Stream, count: u64, wanted: u64) -> io::Result<Moved> {
    let begun = std::time::Instant::now();
    stream.write_all(&count.to_be_bytes()).await?;
    stream.write_all(&wanted.to_be_bytes()).await?;
    send(stream, count).await?;
    let got = receive(stream, wanted).await?;
    let mut told = [0; 32];
    stream.read_exact(&mut told).await?;
    let seconds = begun.elapsed().as_secs_f64();
    stream.close().await?;
    Ok(Moved { seconds, got, told })
}
