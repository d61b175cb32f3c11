// SPDX-License-Identifier: Apache-2.0
//! Streams the driver moves by hand, and many of them at once.
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{Engine, BASE64_STANDARD as BASE64};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::{Stream, StreamProtocol};
use libp2p::PeerId;
use serde_json::{json, Value};
use tokio::sync::{oneshot, Mutex};

use crate::bulk;
use crate::node::Failure;
use crate::own::Control;

/// Streams by their number.
#[derive(Clone, Default)]
pub struct Streams {
    open: Arc<Mutex<HashMap<u64, Arc<Mutex<Stream>>>>>,
    last: Arc<AtomicU64>,
}

async fn opened(stream: oneshot::Receiver<Stream>) -> Result<Stream, Failure> {
    Ok(stream.await.map_err(|_| "the stream was refused")?)
}

impl Streams {
    async fn find(&self, number: u64) -> Result<Arc<Mutex<Stream>>, Failure> {
        let open = self.open.lock().await;
        Ok(open.get(&number).ok_or("no such stream")?.clone())
    }

    pub async fn open(&self, stream: oneshot::Receiver<Stream>) -> Result<Value, Failure> {
        let stream = opened(stream).await?;
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open.lock().await.insert(number, Arc::new(Mutex::new(stream)));
        Ok(json!({"stream": number}))
    }

    /// Write |data|, |times| over; ends early when the other side takes no
    /// more for |ms|.
    pub async fn write(&self, number: u64, data: &str, times: u64, ms: u64)
        -> Result<Value, Failure> {
        let stream = self.find(number).await?;
        let mut stream = stream.lock().await;
        let data = BASE64.decode(data)?;
        let mut written = 0;
        for _ in 0..times {
            let all = async {
                stream.write_all(&data).await?;
                stream.flush().await
            };
            match tokio::time::timeout(Duration::from_millis(ms), all).await {
                Ok(done) => done?,
                Err(_) => return Ok(json!({"written": written, "stalled": true})),
            }
            written += 1;
        }
        Ok(json!({"written": written, "stalled": false}))
    }

    /// Up to |bytes|; "end" says why there are no more.
    pub async fn read(&self, number: u64, bytes: usize, ms: u64) -> Result<Value, Failure> {
        let stream = self.find(number).await?;
        let mut stream = stream.lock().await;
        let mut got = vec![0; bytes];
        let mut have = 0;
        let all = async {
            while have < bytes {
                match stream.read(&mut got[have..]).await {
                    Ok(0) => return "eof",
                    Ok(n) => have += n,
                    Err(_) => return "reset",
                }
            }
            "open"
        };
        let end = tokio::time::timeout(Duration::from_millis(ms), all)
            .await
            .unwrap_or("late");
        Ok(json!({"data": BASE64.encode(&got[..have]), "end": end}))
    }

    /// Nothing more to write.
    pub async fn finish(&self, number: u64) -> Result<Value, Failure> {
        let stream = self.find(number).await?;
        let mut stream = stream.lock().await;
        stream.close().await?;
        Ok(json!({}))
    }

    /// A stream that is dropped before its end is reset by the library.
    pub async fn reset(&self, number: u64) -> Result<Value, Failure> {
        self.open.lock().await.remove(&number);
        Ok(json!({}))
    }
}

pub async fn bulk(
    stream: oneshot::Receiver<Stream>,
    send: u64,
    receive: u64,
) -> Result<Value, Failure> {
    let mut stream = opened(stream).await?;
    let moved = bulk::transfer(&mut stream, send, receive).await?;
    Ok(json!({
        "seconds": moved.seconds,
        "received": moved.got == bulk::expected(receive),
        "sent": moved.told == bulk::expected(send),
    }))
}

/// |count| transfers of |bytes| each way, a stream each, |concurrent| at once.
pub async fn many(
    control: Control,
    peer: PeerId,
    count: u64,
    concurrent: usize,
    bytes: u64,
) -> Result<Value, Failure> {
    let expected = bulk::expected(bytes); // not while it is measured
    let begun = std::time::Instant::now();
    let left = futures::stream::iter(0..count)
        .map(|_| async {
            let protocol = StreamProtocol::new(bulk::PROTOCOL);
            let mut stream = opened(control.open(peer, protocol)).await?;
            let moved = bulk::transfer(&mut stream, bytes, bytes).await?;
            Ok::<bool, Failure>(moved.got == expected && moved.told == expected)
        })
        .buffer_unordered(concurrent);
    let results: Vec<_> = left.collect().await;
    let good = results.iter().filter(|r| matches!(r, Ok(true))).count();
    let error = results.into_iter().find_map(|r| r.err());
    Ok(json!({
        "good": good,
        "error": error.map(|e| e.to_string()),
        "seconds": begun.elapsed().as_secs_f64(),
    }))
}
