//! Where other providers' endpoints are: directory documents, fetched when needed and cached (R10,
//! R11, D13).

use serde::{Deserialize, Serialize};

use super::table;
use crate::{
    config::ProviderConfig,
    error::{InternalError, ProtocolError, Result},
    storage::{Key, Transaction},
    time::UnixMillis,
    transport::{
        HttpCall, MESSAGE_MLS, Method, OCTET_STREAM, Outcome, PeerCall, PeerEndpoint, Response,
    },
    wire::{Directory, MAX_DIRECTORY_BYTES, uri::Domain},
};

/// Shortest and longest time that a document is kept, and the time when its provider says nothing,
/// in milliseconds (D13).
const SHORTEST_LIFE_MILLIS: u64 = 60 * 1000;
const DEFAULT_LIFE_MILLIS: u64 = 60 * 60 * 1000;
const LONGEST_LIFE_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// How long a claim of KeyPackages may take on one hop, in milliseconds (D18).
const KEY_MATERIAL_TIMEOUT_MILLIS: u64 = 10_000;
/// How long any other request may take, in milliseconds (D18).
const TIMEOUT_MILLIS: u64 = 30_000;

#[derive(Debug, Serialize, Deserialize)]
struct Cached {
    document: Vec<u8>,
    fetched: UnixMillis,
    until: UnixMillis,
}

/// A peer call on its way.
pub(super) enum Resolved {
    /// The request itself.
    Call(HttpCall),
    /// The directory document has to be fetched first.
    DirectoryFirst(HttpCall),
}

/// The directory cache of one object.
pub(super) struct Directories;

impl Directories {
    /// The HTTP request of `call`, if the directory is known and fresh.
    pub(super) fn resolve(
        transaction: &Transaction<'_>,
        config: &ProviderConfig,
        call: &PeerCall,
        now: UnixMillis,
    ) -> Result<Resolved> {
        if !config.peers.admits(&call.domain) {
            return Err(ProtocolError::PeerRefused("this provider is not admitted").into());
        }
        let own = &config.domain;
        let document = Self::known(transaction, &call.domain, now)?;
        let Some(directory) = document.and_then(|it| Directory::from_json(&it).ok()) else {
            return Ok(Resolved::DirectoryFirst(fetch(&call.domain)));
        };
        let (template, content_type, timeout_millis) = match call.endpoint {
            PeerEndpoint::KeyMaterial => {
                (&directory.key_material, OCTET_STREAM, KEY_MATERIAL_TIMEOUT_MILLIS)
            }
            PeerEndpoint::Update => (&directory.update, OCTET_STREAM, TIMEOUT_MILLIS),
            PeerEndpoint::SubmitMessage => (&directory.submit_message, MESSAGE_MLS, TIMEOUT_MILLIS),
            PeerEndpoint::Notify => (&directory.notify, OCTET_STREAM, TIMEOUT_MILLIS),
            PeerEndpoint::GroupInfo => (&directory.group_info, OCTET_STREAM, TIMEOUT_MILLIS),
            PeerEndpoint::RequestConsent => {
                (&directory.request_consent, OCTET_STREAM, TIMEOUT_MILLIS)
            }
            PeerEndpoint::UpdateConsent => {
                (&directory.update_consent, OCTET_STREAM, TIMEOUT_MILLIS)
            }
        };
        let mut headers = vec![
            ("from".to_owned(), format!("mimi@{own}")),
            ("content-type".to_owned(), content_type.to_owned()),
        ];
        // A header cannot hold every identifier (D15); this one may be left out.
        if let Some(user) = call.sending_user.as_ref().filter(|user| user.as_str().is_ascii()) {
            headers.push(("mimi-sending-user".to_owned(), user.to_string()));
        }
        Ok(Resolved::Call(HttpCall {
            method: Method::Post,
            url: Directory::expand(template, &call.identifier),
            headers,
            body: call.body.clone(),
            timeout_millis,
        }))
    }

    /// The document of `domain`, if it is known and fresh.
    pub(super) fn known(
        transaction: &Transaction<'_>,
        domain: &Domain,
        now: UnixMillis,
    ) -> Result<Option<Vec<u8>>, InternalError> {
        let cached: Option<Cached> = transaction.load(&key(domain))?;
        Ok(cached.filter(|cached| cached.until > now).map(|cached| cached.document))
    }

    /// Takes in the answer to the request for a directory; says whether none was known before.
    ///
    /// # Errors
    /// When there is no answer, or one that is no directory.
    pub(super) fn learn(
        transaction: &mut Transaction<'_>,
        domain: &Domain,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<bool> {
        let response = outcome.ok_or(ProtocolError::HubUnresponsive)?;
        if !response.is_success() || response.body.len() > MAX_DIRECTORY_BYTES {
            return Err(ProtocolError::BadGateway("directory document").into());
        }
        Directory::from_json(&response.body)?;
        let until = now.plus(life_millis(&response));
        let cached = Cached { document: response.body, fetched: now, until };
        let is_new = transaction.read(&key(domain))?.is_none();
        transaction.store(key(domain), &cached)?;
        Ok(is_new)
    }

    /// Forgets a directory that is older than the shortest life; says whether it did.
    pub(super) fn forget_if_old(
        transaction: &mut Transaction<'_>,
        domain: &Domain,
        now: UnixMillis,
    ) -> Result<bool> {
        let cached: Option<Cached> = transaction.load(&key(domain))?;
        let old = cached.is_some_and(|cached| now.since(cached.fetched) >= SHORTEST_LIFE_MILLIS);
        if old {
            transaction.delete(key(domain));
        }
        Ok(old)
    }
}

fn key(domain: &Domain) -> Vec<u8> {
    Key::table(table::DIRECTORIES).text(domain.as_str()).build()
}

/// The request for the document of `domain`.
pub(super) fn fetch(domain: &Domain) -> HttpCall {
    HttpCall {
        method: Method::Get,
        url: format!("https://{domain}{}", Directory::PATH),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_millis: KEY_MATERIAL_TIMEOUT_MILLIS,
    }
}

fn life_millis(response: &Response) -> u64 {
    let max_age = response.header("cache-control").and_then(|value| {
        let seconds = value.split(',').find_map(|part| part.trim().strip_prefix("max-age="))?;
        seconds.trim().parse::<u64>().ok()
    });
    max_age
        .map_or(DEFAULT_LIFE_MILLIS, |seconds| seconds.saturating_mul(1000))
        .clamp(SHORTEST_LIFE_MILLIS, LONGEST_LIFE_MILLIS)
}
