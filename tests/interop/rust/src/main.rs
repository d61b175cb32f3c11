// SPDX-License-Identifier: Apache-2.0
//! A rust-libp2p node driven over stdin and stdout, one JSON object a line, as
//! tests/interop/README.md says.
mod bulk;
mod ggen;
mod node;
mod own;
mod peer;
mod streams;

use node::{Failure, Options};
use peer::Peer;
use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, BufReader};

/// One line out.
pub fn say(value: Value) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{value}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// The answer to the question |id|.
pub fn answer(id: u64, result: Result<Value, Failure>) {
    say(match result {
        Ok(mut value) => {
            value["id"] = id.into();
            value["ok"] = true.into();
            value
        }
        Err(error) => json!({"id": id, "ok": false, "error": error.to_string()}),
    });
}

async fn start() -> Result<Peer, Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let options: Options = serde_json::from_str(&line)?;
    let value: Value = serde_json::from_str(&line)?;
    let peer = Peer::start(options).await?;
    answer(
        value["id"].as_u64().unwrap_or(0),
        Ok(json!({"peer": peer.id(), "listen": peer.listen()})),
    );
    Ok(peer)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Failure> {
    let mut peer = start().await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => peer.on_line(&line),
                None => return Ok(()),
            },
            () = peer.step() => {}
        }
    }
}
