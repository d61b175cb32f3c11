// SPDX-License-Identifier: Apache-2.0
//! The commands, and what the library answers to them.
use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use base64::prelude::{Engine, BASE64_STANDARD as BASE64};
use futures::StreamExt;
use libp2p::kad::store::RecordStore;
use libp2p::kad::{self, QueryId, QueryResult, Quorum, RecordKey};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, StreamProtocol, Swarm, SwarmEvent};
use libp2p::{gossipsub, identify, Multiaddr, PeerId};
use serde_json::{json, Value};
use tokio::sync::mpsc;

use crate::node::{build, Behaviour, BehaviourEvent, Failure, Options};
use crate::streams::{self, Streams};
use crate::{answer, bulk, ggen, own, say};

/// A question to the DHT and what has come so far.
struct Query {
    id: u64,
    found: Vec<Value>,
}

/// Connections one after the other: dialled, closed, dialled again.
struct Rounds {
    id: u64,
    address: Multiaddr,
    left: u64,
    begun: Instant,
}

pub struct Peer {
    swarm: Swarm<Behaviour>,
    inbound: mpsc::UnboundedReceiver<own::Inbound>,
    control: own::Control,
    streams: Streams,
    options: Options,
    queries: HashMap<QueryId, Query>,
    dials: HashMap<ConnectionId, u64>,
    pings: Vec<(PeerId, u64)>,
    rounds: Option<Rounds>,
    /// Messages that came, and who waits for how many.
    heard: u64,
    listeners: Vec<(u64, u64)>,
    identified: HashMap<PeerId, identify::Info>,
}

// ---- What a question names. ----

fn text<'a>(q: &'a Value, name: &str) -> Result<&'a str, Failure> {
    q[name].as_str().ok_or_else(|| format!("no {name}").into())
}

fn number(q: &Value, name: &str, otherwise: u64) -> u64 {
    q[name].as_u64().unwrap_or(otherwise)
}

fn bytes(q: &Value, name: &str) -> Result<Vec<u8>, Failure> {
    Ok(BASE64.decode(text(q, name)?)?)
}

fn peer(q: &Value) -> Result<PeerId, Failure> {
    Ok(text(q, "peer")?.parse()?)
}

fn protocol(q: &Value) -> Result<StreamProtocol, Failure> {
    Ok(StreamProtocol::try_from_owned(text(q, "protocol")?.into())?)
}

fn topic(q: &Value) -> Result<gossipsub::IdentTopic, Failure> {
    Ok(gossipsub::IdentTopic::new(text(q, "topic")?))
}

fn record_as_json(record: &kad::Record) -> Value {
    let ttl = record.expires.map(|at| at.saturating_duration_since(Instant::now()).as_secs());
    json!({
        "value": BASE64.encode(&record.value),
        "publisher": record.publisher.map(|p| p.to_string()),
        "ttl": ttl,
    })
}

fn names<'a>(peers: impl IntoIterator<Item = &'a PeerId>) -> Vec<Value> {
    peers.into_iter().map(|p| p.to_string().into()).collect()
}

/// "1.2" of what the streams of gossip were agreed on to speak.
fn version(kind: &impl AsRef<str>) -> Value {
    kind.as_ref().trim_start_matches("Gossipsub v").into()
}

/// Answer when |work| is done.
fn later(id: u64, work: impl Future<Output = Result<Value, Failure>> + Send + 'static) {
    tokio::spawn(async move { answer(id, work.await) });
}

impl Peer {
    pub async fn start(options: Options) -> Result<Self, Failure> {
        let (mut swarm, inbound) = build(&options)?;
        swarm.listen_on(format!("/ip4/127.0.0.1/tcp/{}", options.port).parse()?)?;
        loop {
            if let SwarmEvent::NewListenAddr { .. } = swarm.select_next_some().await {
                break;
            }
        }
        Ok(Self {
            control: swarm.behaviour().own.control(),
            swarm,
            inbound,
            options,
            streams: Streams::default(),
            queries: HashMap::new(),
            dials: HashMap::new(),
            pings: Vec::new(),
            rounds: None,
            heard: 0,
            listeners: Vec::new(),
            identified: HashMap::new(),
        })
    }

    pub fn id(&self) -> String {
        self.swarm.local_peer_id().to_string()
    }

    pub fn listen(&self) -> Vec<String> {
        let id = self.id();
        self.swarm.listeners().map(|a| format!("{a}/p2p/{id}")).collect()
    }

    // ---- Commands. ----

    pub fn on_line(&mut self, line: &str) {
        let q: Value = match serde_json::from_str(line) {
            Ok(q) => q,
            Err(error) => return answer(0, Err(error.into())),
        };
        let id = number(&q, "id", 0);
        match self.ask(id, &q) {
            Ok(Some(value)) => answer(id, Ok(value)),
            Ok(None) => {} // it will be answered
            Err(error) => answer(id, Err(error)),
        }
    }

    fn ask(&mut self, id: u64, q: &Value) -> Result<Option<Value>, Failure> {
        match text(q, "do")? {
            "dial" => self.dial(id, q),
            "dials" => self.begin_rounds(id, q),
            "ping" => {
                self.pings.push((peer(q)?, id));
                Ok(None)
            }
            "hangup" => {
                let peer = peer(q)?;
                self.swarm.disconnect_peer_id(peer).map_err(|()| "not connected")?;
                Ok(Some(json!({})))
            }
            "identified" => Ok(Some(self.identified(peer(q)?))),
            "offer" => {
                self.swarm.behaviour_mut().own.offer(protocol(q)?);
                Ok(Some(json!({})))
            }
            "push" => {
                let peer = peer(q)?;
                let identify = self.swarm.behaviour_mut().identify.as_mut();
                identify.ok_or("no identify here")?.push([peer]);
                Ok(Some(json!({})))
            }
            "connections" => {
                let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
                let count = self.swarm.network_info().connection_counters().num_established();
                Ok(Some(json!({"peers": names(&peers), "count": count})))
            }
            "put" | "put_to" | "get" | "provide" | "find" | "closest" => self.query(id, q),
            "table" | "stored" => self.local(q).map(Some),
            "heard" => {
                self.listeners.push((number(q, "count", 1), id));
                self.tell_listeners();
                Ok(None)
            }
            "burst" => self.burst(q).map(Some),
            "publish" | "subscribe" | "unsubscribe" | "subscribers" => self.pubsub(q).map(Some),
            "open" | "write" | "read" | "finish" | "reset" | "bulk" | "streams" => {
                self.stream(id, q)
            }
            "parse" => ggen::parse(&bytes(q, "data")?).map(Some),
            "stop" => {
                answer(id, Ok(json!({})));
                std::process::exit(0)
            }
            other => Err(format!("no command {other}").into()),
        }
    }

    fn dial(&mut self, id: u64, q: &Value) -> Result<Option<Value>, Failure> {
        let address: Multiaddr = text(q, "address")?.parse()?;
        let dial = DialOpts::from(address);
        let connection = dial.connection_id();
        self.swarm.dial(dial)?;
        self.dials.insert(connection, id);
        Ok(None)
    }

    fn begin_rounds(&mut self, id: u64, q: &Value) -> Result<Option<Value>, Failure> {
        let (address, left) = (text(q, "address")?.parse()?, number(q, "count", 1));
        self.rounds = Some(Rounds { id, address, left, begun: Instant::now() });
        self.next_round()?;
        Ok(None)
    }

    fn next_round(&mut self) -> Result<(), Failure> {
        let Some(rounds) = self.rounds.as_mut() else {
            return Ok(());
        };
        if rounds.left == 0 {
            let seconds = rounds.begun.elapsed().as_secs_f64();
            answer(rounds.id, Ok(json!({"seconds": seconds})));
            self.rounds = None;
            return Ok(());
        }
        rounds.left -= 1;
        let address = rounds.address.clone();
        Ok(self.swarm.dial(DialOpts::from(address))?)
    }

    fn end_rounds(&mut self, error: Failure) {
        if let Some(rounds) = self.rounds.take() {
            answer(rounds.id, Err(error));
        }
    }

    fn identified(&self, peer: PeerId) -> Value {
        let Some(info) = self.identified.get(&peer) else {
            return json!({"agent": null});
        };
        #[cfg(feature = "newest")]
        let has_record = Value::from(info.signed_peer_record.is_some());
        #[cfg(not(feature = "newest"))]
        let has_record = Value::Null; // it does not know them
        json!({
            "agent": info.agent_version,
            "protocolVersion": info.protocol_version,
            "protocols": info.protocols.iter().map(|p| p.to_string()).collect::<Vec<_>>(),
            "addresses": info.listen_addrs.iter().map(|a| a.to_string()).collect::<Vec<_>>(),
            "observed": info.observed_addr.to_string(),
            "hasRecord": has_record,
        })
    }

    fn query(&mut self, id: u64, q: &Value) -> Result<Option<Value>, Failure> {
        let kad = self.swarm.behaviour_mut().kad.as_mut().ok_or("no DHT here")?;
        let key = RecordKey::new(&bytes(q, "key")?);
        let query = match text(q, "do")? {
            "get" => kad.get_record(key),
            "provide" => kad.start_providing(key)?,
            "find" => kad.get_providers(key),
            "closest" => kad.get_closest_peers(key.to_vec()),
            put => {
                let mut record = kad::Record::new(key, bytes(q, "value")?);
                if let Some(publisher) = q["publisher"].as_str() {
                    record.publisher = Some(publisher.parse()?);
                }
                if let Some(ttl) = q["ttl"].as_u64() {
                    record.expires = Some(Instant::now() + Duration::from_secs(ttl));
                }
                if put == "put" {
                    kad.put_record(record, Quorum::All)?
                } else {
                    kad.put_record_to(record, [peer(q)?].into_iter(), Quorum::One)
                }
            }
        };
        self.queries.insert(query, Query { id, found: Vec::new() });
        Ok(None)
    }

    fn local(&mut self, q: &Value) -> Result<Value, Failure> {
        let kad = self.swarm.behaviour_mut().kad.as_mut().ok_or("no DHT here")?;
        if text(q, "do")? == "stored" {
            let key = RecordKey::new(&bytes(q, "key")?);
            let record = kad.store_mut().get(&key).map(|r| record_as_json(&r));
            return Ok(json!({"record": record}));
        }
        let mut peers = Vec::new();
        for bucket in kad.kbuckets() {
            peers.extend(bucket.iter().map(|entry| entry.node.key.preimage().to_string()));
        }
        Ok(json!({"size": peers.len(), "peers": peers}))
    }

    fn pubsub(&mut self, q: &Value) -> Result<Value, Failure> {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        let gossip = gossip.as_mut().ok_or("no gossip here")?;
        match text(q, "do")? {
            "publish" => {
                let id = gossip.publish(topic(q)?, bytes(q, "data")?)?;
                Ok(json!({"message": id.to_string()}))
            }
            "subscribe" => Ok(json!({"new": gossip.subscribe(&topic(q)?)?})),
            "unsubscribe" => {
                let _ = gossip.unsubscribe(&topic(q)?);
                Ok(json!({}))
            }
            _ => {
                let topic = topic(q)?.hash();
                let subscribers = gossip
                    .all_peers()
                    .filter(|(_, topics)| topics.contains(&&topic))
                    .map(|(peer, _)| peer);
                Ok(json!({
                    "subscribers": names(subscribers),
                    "mesh": names(gossip.mesh_peers(&topic)),
                    "versions": gossip
                        .peer_protocol()
                        .map(|(peer, kind)| (peer.to_string(), version(kind)))
                        .collect::<serde_json::Map<_, _>>(),
                }))
            }
        }
    }

    fn tell_listeners(&mut self) {
        let heard = self.heard;
        self.listeners.retain(|(count, id)| {
            if heard >= *count {
                answer(*id, Ok(json!({"heard": heard})));
            }
            heard < *count
        });
    }

    /// So many small messages, no two alike, at once.
    fn burst(&mut self, q: &Value) -> Result<Value, Failure> {
        let (first, count) = (number(q, "first", 0), number(q, "count", 1));
        let me = self.id();
        let gossip = self.swarm.behaviour_mut().gossip.as_mut().ok_or("no gossip here")?;
        for i in first..first + count {
            gossip.publish(topic(q)?, format!("{i:8} of {me}").into_bytes())?;
        }
        Ok(json!({}))
    }

    fn stream(&mut self, id: u64, q: &Value) -> Result<Option<Value>, Failure> {
        let streams = self.streams.clone();
        let stream = number(q, "stream", 0);
        let ms = number(q, "ms", 10_000);
        match text(q, "do")? {
            "open" => {
                let opened = self.control.open(peer(q)?, protocol(q)?);
                later(id, async move { streams.open(opened).await });
            }
            "write" => {
                let (data, times) = (text(q, "data")?.to_owned(), number(q, "times", 1));
                later(id, async move { streams.write(stream, &data, times, ms).await });
            }
            "read" => {
                let most = number(q, "bytes", 65536) as usize;
                later(id, async move { streams.read(stream, most, ms).await });
            }
            "finish" => later(id, async move { streams.finish(stream).await }),
            "reset" => later(id, async move { streams.reset(stream).await }),
            "bulk" => {
                let protocol = StreamProtocol::new(bulk::PROTOCOL);
                let opened = self.control.open(peer(q)?, protocol);
                let (send, receive) = (number(q, "send", 0), number(q, "receive", 0));
                later(id, streams::bulk(opened, send, receive));
            }
            _ => {
                let (count, bytes) = (number(q, "count", 1), number(q, "bytes", 0));
                let concurrent = number(q, "concurrent", 1) as usize;
                later(id, streams::many(self.control.clone(), peer(q)?, count, concurrent, bytes));
            }
        }
        Ok(None)
    }

    // ---- Events. ----

    /// The next thing that happens.
    pub async fn step(&mut self) {
        tokio::select! {
            event = self.swarm.select_next_some() => self.on_event(event),
            Some((name, stream)) = self.inbound.recv() => {
                if name == bulk::PROTOCOL {
                    tokio::spawn(bulk::serve(stream));
                }
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { connection_id, peer_id, .. } => {
                if let Some(id) = self.dials.remove(&connection_id) {
                    let muxer = "/yamux/1.0.0";
                    let value = json!({"peer": peer_id.to_string(), "muxer": muxer});
                    answer(id, Ok(value));
                } else if self.rounds.is_some() {
                    let _ = self.swarm.disconnect_peer_id(peer_id);
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(id) = self.dials.remove(&connection_id) {
                    answer(id, Err(error.into()));
                } else {
                    self.end_rounds(error.into());
                }
            }
            SwarmEvent::ConnectionClosed { .. } if self.rounds.is_some() => {
                if let Err(error) = self.next_round() {
                    self.end_rounds(error);
                }
            }
            SwarmEvent::ConnectionClosed { .. } if self.options.bare => {} // too many to tell
            SwarmEvent::ConnectionClosed { peer_id, cause, num_established, .. } => say(json!({
                "event": "closed",
                "peer": peer_id.to_string(),
                "cause": cause.map(|e| e.to_string()),
                "left": num_established,
            })),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kad(event)) => self.on_kad(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => {
                let result = event.result.map_err(|e| e.to_string());
                let (mine, rest) =
                    std::mem::take(&mut self.pings).into_iter().partition(|p| p.0 == event.peer);
                let mine: Vec<(PeerId, u64)> = mine;
                self.pings = rest;
                for (_, id) in mine {
                    answer(id, match &result {
                        Ok(took) => Ok(json!({"ms": took.as_secs_f64() * 1000.0})),
                        Err(error) => Err(error.clone().into()),
                    });
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                message,
                propagation_source,
                ..
            })) => {
                self.heard += 1;
                self.tell_listeners();
                if self.options.quiet {
                    return;
                }
                say(json!({
                    "event": "message",
                    "topic": message.topic.to_string(),
                    "from": message.source.map(|p| p.to_string()),
                    "via": propagation_source.to_string(),
                    "data": BASE64.encode(&message.data),
                }))
            }
            _ => {}
        }
    }

    fn on_identify(&mut self, event: identify::Event) {
        if let identify::Event::Received { peer_id, info, .. } = event {
            let speaks = info.protocols.iter().any(|p| p.as_ref() == self.options.kad);
            if self.options.learn && speaks {
                if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
                    for address in &info.listen_addrs {
                        kad.add_address(&peer_id, address.clone());
                    }
                }
            }
            self.identified.insert(peer_id, info);
        }
    }

    fn on_kad(&mut self, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { id, result, step, .. } = event else {
            return;
        };
        let Some(query) = self.queries.get_mut(&id) else {
            return; // the library's own
        };
        let outcome = on_result(query, result);
        if step.last || outcome.is_err() {
            let query = self.queries.remove(&id).unwrap();
            answer(query.id, outcome.map(|name| json!({name: query.found})));
        }
    }
}

/// Take what has come; the name it goes by in the answer.
fn on_result(query: &mut Query, result: QueryResult) -> Result<&'static str, Failure> {
    match result {
        QueryResult::GetRecord(result) => {
            if let Ok(kad::GetRecordOk::FoundRecord(found)) = result {
                let mut value = record_as_json(&found.record);
                value["from"] = found.peer.map(|p| p.to_string()).into();
                query.found.push(value);
            }
            Ok("values")
        }
        QueryResult::PutRecord(result) => {
            if let Err(
                kad::PutRecordError::QuorumFailed { success, .. }
                | kad::PutRecordError::Timeout { success, .. },
            ) = &result
            {
                query.found = names(success);
            } else {
                query.found = vec!["all".into()];
            }
            Ok("acked")
        }
        QueryResult::GetProviders(result) => {
            if let Ok(kad::GetProvidersOk::FoundProviders { providers, .. }) = result {
                query.found.extend(names(&providers));
            }
            Ok("providers")
        }
        QueryResult::GetClosestPeers(result) => {
            query.found = result?.peers.iter().map(|p| p.peer_id.to_string().into()).collect();
            Ok("peers")
        }
        QueryResult::StartProviding(result) => {
            result?;
            Ok("provided")
        }
        _ => Ok("other"),
    }
}
