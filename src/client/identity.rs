//! Who this device is: its URI and its key, made once and never changed (D9).

use serde::{Deserialize, Serialize};

use super::{
    ClientOptions, ErrorCode, Event, consent,
    hubs::Hub,
    intent, key_packages,
    request::{Request, Settled},
    step::Step,
    tables,
};
use crate::{
    error::{InternalError, Result, UsageError},
    mls::{self, MlsCrypto, SignatureKeyPair, labels},
    room::codepoints::cipher_suite,
    sorted::SortedMap,
    time::UnixMillis,
    transport::Response,
    wire::{
        self, DeviceRegistration, DeviceRegistrationTbs,
        uri::{ClientUri, Domain, UserUri},
    },
};

/// How many random bytes a device's name is made of.
const DEVICE_NAME_BYTES: usize = 8;

/// A device's URI and the key that it signs with, in MLS and towards its provider.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The client.
    pub(super) client: ClientUri,
    /// The key.
    pub(super) key_pair: SignatureKeyPair,
    /// In how many rooms it may be.
    pub(super) usage: Use,
}

/// In how many rooms a device may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Use {
    /// In any number.
    AnyRooms,
    /// In one: it is a pseudonym's (R92).
    OneRoom,
}

/// What a device knows beside its rooms.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Account {
    /// Whether the own provider knows this device.
    pub(super) registration: Registration,
    /// The next intent's name.
    pub(super) next_intent: u64,
    /// The last position of the inbox that is stored here.
    pub(super) inbox: u64,
    /// Whether a page of the inbox is on its way.
    pub(super) fetching_inbox: bool,
    /// When the provider last said what it holds.
    pub(super) stock_known_at: UnixMillis,
    /// What is under way to learn about consent.
    pub(super) consent: consent::Sync,
    /// The hubs of this device's rooms.
    pub(super) hubs: SortedMap<Domain, Hub>,
    /// When KeyPackages were last made (D4).
    pub(super) published_at: Option<UnixMillis>,
}

/// Whether the own provider knows this device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Registration {
    /// It has not said so yet.
    #[default]
    Asked,
    /// It does.
    Done,
    /// It refuses.
    Refused,
}

impl Identity {
    /// The device of a pseudonym, or a new one of a user, named as asked or at random.
    pub(super) fn new(options: &ClientOptions, crypto: &MlsCrypto) -> Result<Self> {
        let ClientOptions { user, device, pseudonym, .. } = options;
        if let Some(pseudonym) = pseudonym {
            return Ok(pseudonym.identity()?);
        }
        let client = match device {
            Some(name) => user.client(name)?,
            None => user.client(&hexadecimal(&crypto.random_bytes(DEVICE_NAME_BYTES)?))?,
        };
        let suite = mls::accepted_suite(cipher_suite::DEFAULT)
            .ok_or(InternalError::Mls("the default suite"))?;
        Ok(Self { client, key_pair: crypto.signature_key_pair(suite)?, usage: Use::AnyRooms })
    }

    /// The one that is stored.
    pub(super) fn load(step: &crate::storage::Transaction<'_>, user: &UserUri) -> Result<Self> {
        let identity: Self =
            step.load(&tables::identity())?.ok_or(InternalError::Storage("no identity"))?;
        if identity.client.user() == *user {
            return Ok(identity);
        }
        Err(UsageError::BadArgument("the storage is another user's").into())
    }

    /// The body of `POST devices`.
    pub(super) fn registration(&self) -> Result<Vec<u8>> {
        signed_key(&self.client, &self.key_pair, labels::DEVICE)
    }
}

/// A key in the name of a client, signed by itself: an encoded `DeviceRegistration`.
pub(super) fn signed_key(
    client: &ClientUri,
    key_pair: &SignatureKeyPair,
    label: &str,
) -> Result<Vec<u8>> {
    let tbs = DeviceRegistrationTbs {
        client_uri: client.to_wire(),
        signature_scheme: key_pair.signature_scheme() as u16,
        signature_key: key_pair.public().into(),
    };
    let signature = labels::sign_with_label(key_pair, label, &wire::encode(&tbs)?)?;
    Ok(wire::encode(&DeviceRegistration { tbs, signature: signature.into() })?)
}

/// The provider answered `POST devices`.
pub(super) fn registration_answered(step: &mut Step<'_>, response: &Response) -> Result<Settled> {
    let mut account = step.account()?;
    if !response.is_success() {
        account.registration = Registration::Refused;
        step.store_account(&account)?;
        step.emit(Event::RegistrationFailed { code: ErrorCode::of_status(response.status) });
        return Ok(Settled::Delivered);
    }
    account.registration = Registration::Done;
    step.store_account(&account)?;
    step.emit(Event::Registered);
    key_packages::publish_first(step)?;
    step.enqueue(&Request::Inbox)?;
    for room in step.rooms()? {
        intent::advance(step, &room.uri)?;
    }
    Ok(Settled::Delivered)
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
