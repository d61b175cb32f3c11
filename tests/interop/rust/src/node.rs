// SPDX-License-Identifier: Apache-2.0
//! A libp2p node as an ordinary program would set it up.
use std::time::Duration;

use base64::prelude::{Engine, BASE64_STANDARD as BASE64};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, StreamProtocol, Swarm};
use libp2p::{gossipsub, identify, kad, noise, ping, tcp, yamux, SwarmBuilder};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::{bulk, own};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What "start" may say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    pub key_type: String,
    /// PKCS #8, base64: this key and not a new one (RSA cannot be made here).
    pub key: Option<String>,
    pub kad: String,
    pub topic: String,
    pub protocol_version: String,
    /// "sha256" of the data, or "default".
    pub message_id: String,
    pub heartbeat_ms: u64,
    /// No more peers in the mesh than that, and none looked for.
    pub mesh_max: Option<usize>,
    /// How long a connection without streams lives.
    pub idle_ms: u64,
    pub client: bool,
    pub gossip: bool,
    /// Messages are counted, not told.
    pub quiet: bool,
    /// No newer gossipsub than 1.1 is offered.
    pub gossip_old: bool,
    pub ping: bool,
    /// Nothing is spoken but what the driver says.
    pub bare: bool,
    pub nodelay: bool,
    /// Take addresses that identify tells into the routing table.
    pub learn: bool,
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key_type: "Ed25519".into(),
            key: None,
            kad: "/souk/kad/1.0.0".into(),
            topic: "/souk/packages/v1".into(),
            protocol_version: "/test/1.0.0".into(),
            message_id: "sha256".into(),
            heartbeat_ms: 1000,
            mesh_max: None,
            idle_ms: 60_000,
            client: false,
            gossip: true,
            quiet: false,
            gossip_old: false,
            ping: true,
            bare: false,
            nodelay: true,
            learn: true,
            port: 0,
        }
    }
}

#[derive(NetworkBehaviour)]
pub struct Behaviour {
    pub identify: Toggle<identify::Behaviour>,
    pub kad: Toggle<kad::Behaviour<MemoryStore>>,
    pub gossip: Toggle<gossipsub::Behaviour>,
    pub ping: Toggle<ping::Behaviour>,
    pub own: own::Behaviour,
}

fn key(options: &Options) -> Result<Keypair, Failure> {
    if let Some(key) = &options.key {
        return Ok(Keypair::rsa_from_pkcs8(&mut BASE64.decode(key)?)?);
    }
    match options.key_type.as_str() {
        "Ed25519" => Ok(Keypair::generate_ed25519()),
        "secp256k1" => Ok(Keypair::generate_secp256k1()),
        "ECDSA" => Ok(Keypair::generate_ecdsa()),
        other => Err(format!("no key of type {other} without bytes").into()),
    }
}

fn kad(key: &Keypair, options: &Options) -> Result<kad::Behaviour<MemoryStore>, Failure> {
    let id = key.public().to_peer_id();
    let mut config = kad::Config::new(StreamProtocol::try_from_owned(options.kad.clone())?);
    config.set_query_timeout(Duration::from_secs(20));
    let store = MemoryStore::with_config(id, MemoryStoreConfig::default());
    let mut kad = kad::Behaviour::with_config(id, store, config);
    kad.set_mode(Some(if options.client {
        kad::Mode::Client
    } else {
        kad::Mode::Server
    }));
    Ok(kad)
}

fn gossip(key: &Keypair, options: &Options) -> Result<gossipsub::Behaviour, Failure> {
    let mut config = gossipsub::ConfigBuilder::default();
    config
        // Its own first delay of 5 s is the time for which others remember.
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_millis(options.heartbeat_ms))
        .validation_mode(gossipsub::ValidationMode::Strict);
    if let Some(n) = options.mesh_max {
        config.mesh_outbound_min(0).mesh_n_low(0).mesh_n(n).mesh_n_high(n);
    }
    if options.gossip_old {
        config.protocol_id_prefix("/meshsub");
    }
    if options.message_id == "sha256" {
        config.message_id_fn(|message: &gossipsub::Message| {
            gossipsub::MessageId::from(Sha256::digest(&message.data)[..20].to_vec())
        });
    }
    let author = gossipsub::MessageAuthenticity::Signed(key.clone());
    let mut gossip = gossipsub::Behaviour::new(author, config.build()?)?;
    gossip.subscribe(&gossipsub::IdentTopic::new(&options.topic))?;
    Ok(gossip)
}

fn identify(key: &Keypair, options: &Options) -> identify::Behaviour {
    let version = options.protocol_version.clone();
    #[cfg(feature = "newest")]
    let config = identify::Config::new_with_signed_peer_record(version, key);
    #[cfg(not(feature = "newest"))]
    let config = identify::Config::new(version, key.public());
    identify::Behaviour::new(config)
}

/// A swarm that listens nowhere yet, and the streams others open of our own
/// protocols.
pub fn build(
    options: &Options,
) -> Result<(Swarm<Behaviour>, mpsc::UnboundedReceiver<own::Inbound>), Failure> {
    let key = key(options)?;
    let (own, inbound) = own::Behaviour::new(&[bulk::PROTOCOL]);
    let behaviour = Behaviour {
        identify: (!options.bare).then(|| identify(&key, options)).into(),
        kad: (!options.bare).then(|| kad(&key, options)).transpose()?.into(),
        gossip: (options.gossip && !options.bare)
            .then(|| gossip(&key, options))
            .transpose()?
            .into(),
        ping: (options.ping && !options.bare)
            .then(|| {
                let often = Duration::from_millis(500);
                ping::Behaviour::new(ping::Config::new().with_interval(often))
            })
            .into(),
        own,
    };
    let mut tcp = tcp::Config::default();
    if options.nodelay {
        tcp = tcp.nodelay(true);
    }
    let idle = Duration::from_millis(options.idle_ms);
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp, noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| behaviour)?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(idle)
                .with_max_negotiating_inbound_streams(512)
        })
        .build();
    Ok((swarm, inbound))
}
