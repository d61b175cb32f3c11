// SPDX-License-Identifier: Apache-2.0
//! The package as the ggen marketplace's nodes read and write it: an object
//! with nothing that is not optional left out, members unknown to it ignored.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use crate::node::Failure;

#[derive(Serialize, Deserialize)]
pub struct Package {
    id: PackageId,
    version: Version,
    metadata: Metadata,
    content_id: ContentId,
    dependencies: Vec<Dependency>,
    stats: Stats,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize, Deserialize)]
struct PackageId {
    namespace: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    pre_release: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    title: String,
    description: String,
    long_description: Option<String>,
    categories: Vec<Category>,
    tags: Vec<String>,
    license: String,
    authors: Vec<Author>,
    homepage: Option<String>,
    repository: Option<String>,
    documentation: Option<String>,
    readme: Option<String>,
    changelog: Option<String>,
    custom_fields: HashMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
enum Category {
    WebService,
    Database,
    Authentication,
    Middleware,
    Testing,
    Deployment,
    Monitoring,
    Documentation,
    Utility,
    Custom(String),
}

#[derive(Serialize, Deserialize)]
struct Author {
    id: String,
    name: String,
    email: Option<String>,
    public_key: Option<PublicKey>,
    metadata: HashMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct PublicKey {
    algorithm: String,
    key_data: Vec<u8>,
    fingerprint: String,
}

#[derive(Serialize, Deserialize)]
struct ContentId {
    hash: String,
    algorithm: Algorithm,
}

#[derive(Serialize, Deserialize)]
enum Algorithm {
    Sha256,
    Sha512,
    Blake3,
}

#[derive(Serialize, Deserialize)]
struct Dependency {
    package_id: PackageId,
    version_requirement: Requirement,
    optional: bool,
}

#[derive(Serialize, Deserialize)]
enum Requirement {
    Exact(Version),
    Range { min: Version, max: Version },
    Minimum(Version),
    Compatible(Version),
    Any,
}

#[derive(Serialize, Deserialize)]
struct Stats {
    downloads: u64,
    stars: u64,
    watchers: u64,
    forks: u64,
    contributors: u64,
    last_updated: String,
}

/// The package in these bytes, as it writes it itself.
pub fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    let package: Package = serde_json::from_slice(bytes)?;
    Ok(json!({"package": package}))
}
