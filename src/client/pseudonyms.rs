//! Pseudonyms of this device: asked for at the own provider, used by a client of their own (R91–R93).
//!
//! The key of a pseudonym is made here, before the provider is asked: an answer that is lost leads to
//! the same pseudonym again. What a [`Pseudonym`] holds is all that a second [`Client`] needs; that
//! client has rows, a connection and requests of its own, and nothing here points to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Client, ErrorCode, Event,
    identity::{Identity, Use},
    request::{Request, Settled},
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, Result, UsageError},
    mls::{self, SignatureKeyPair, labels},
    room::codepoints::cipher_suite,
    storage::{Transaction, decode_row, encode_row},
    time::UnixMillis,
    transport::Response,
    wire::{
        PseudonymGrant, decode_exact,
        uri::{ClientUri, UserUri},
    },
};

/// A pseudonym: its client's address and key. Whoever has it is the pseudonym.
#[derive(Clone, PartialEq, Eq)]
pub struct Pseudonym {
    client: ClientUri,
    /// The encoded `Identity`.
    identity: Vec<u8>,
}

impl Pseudonym {
    /// The pseudonym, as others address it.
    #[must_use]
    pub fn user(&self) -> UserUri {
        self.client.user()
    }

    /// Its one client.
    #[must_use]
    pub const fn client(&self) -> &ClientUri {
        &self.client
    }

    /// As bytes, for a place that keeps secrets.
    #[must_use]
    pub fn to_bytes(&self) -> &[u8] {
        &self.identity
    }

    /// What [`Pseudonym::to_bytes`] gave.
    ///
    /// # Errors
    /// [`UsageError::BadArgument`] when it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match decode_row::<Identity>(bytes) {
            Ok(identity) if identity.usage == Use::OneRoom => Self::of(&identity),
            Ok(_) | Err(_) => Err(UsageError::BadArgument("not a pseudonym").into()),
        }
    }

    fn of(identity: &Identity) -> Result<Self> {
        Ok(Self { client: identity.client.clone(), identity: encode_row(identity)? })
    }

    pub(super) fn identity(&self) -> Result<Identity, InternalError> {
        decode_row(&self.identity)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({})", self.client)
    }
}

/// A pseudonym that was asked for.
#[derive(Serialize, Deserialize)]
struct Asked {
    key_pair: SignatureKeyPair,
    /// Its client, once the provider has issued it.
    client: Option<ClientUri>,
}

impl Client {
    /// Asks the own provider for a new pseudonym: [`Event::PseudonymIssued`] says when it is there.
    ///
    /// # Errors
    /// [`UsageError::BadState`] when this client is itself one of a pseudonym.
    pub fn request_pseudonym(&mut self, now: UnixMillis) -> Result<()> {
        if self.identity.usage == Use::OneRoom {
            return Err(UsageError::BadState("a pseudonym has no pseudonyms").into());
        }
        let suite = mls::accepted_suite(cipher_suite::DEFAULT)
            .ok_or(InternalError::Mls("the default suite"))?;
        let key_pair = self.crypto.signature_key_pair(suite)?;
        self.step(now, |step| {
            let key = key_pair.public().to_vec();
            let asked = Asked { key_pair, client: None };
            step.transaction.store(tables::pseudonym(&key), &asked)?;
            Ok(step.enqueue(&Request::Pseudonym(key))?)
        })
    }

    /// The pseudonyms that the own provider issued to this device, by key.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn pseudonyms(&self) -> Result<Vec<Pseudonym>> {
        let prefix = tables::all_pseudonyms();
        let rows = Transaction::new(&self.storage).scan(&prefix, &prefix, usize::MAX)?;
        let mut pseudonyms = Vec::new();
        for (_, row) in rows {
            if let Asked { key_pair, client: Some(client) } = decode_row(&row)? {
                pseudonyms.push(Pseudonym::of(&Identity {
                    client,
                    key_pair,
                    usage: Use::OneRoom,
                })?);
            }
        }
        Ok(pseudonyms)
    }

    /// Forgets a pseudonym, its key included: for one whose own client has it now.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn forget_pseudonym(&mut self, pseudonym: &Pseudonym, now: UnixMillis) -> Result<()> {
        let identity = pseudonym.identity()?;
        self.step(now, |step| {
            step.transaction.delete(tables::pseudonym(identity.key_pair.public()));
            Ok(())
        })
    }
}

/// The body of `POST pseudonyms` for this key; `None` when nobody wants it any more.
pub(super) fn body(step: &Step<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let Some(asked) = step.transaction.load::<Asked>(&tables::pseudonym(key))? else {
        return Ok(None);
    };
    let signed =
        super::identity::signed_key(&step.identity.client, &asked.key_pair, labels::PSEUDONYM)?;
    Ok(Some(signed))
}

/// The provider answered `POST pseudonyms`.
pub(super) fn answered(step: &mut Step<'_>, key: &[u8], response: &Response) -> Result<Settled> {
    let row = tables::pseudonym(key);
    let Some(asked) = step.transaction.load::<Asked>(&row)? else { return Ok(Settled::Delivered) };
    let granted = decode_exact::<PseudonymGrant>(&response.body).ok();
    let client = granted.and_then(|grant| ClientUri::from_wire(&grant.client_uri).ok());
    match client.filter(|_| response.is_success()) {
        Some(client) => {
            let user = client.user();
            step.transaction.store(row, &Asked { client: Some(client), ..asked })?;
            step.emit(Event::PseudonymIssued { user });
        }
        None => {
            step.transaction.delete(row);
            step.emit(Event::PseudonymRefused { code: ErrorCode::of_status(response.status) });
        }
    }
    Ok(Settled::Delivered)
}
