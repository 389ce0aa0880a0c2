//! Pseudonyms (R91–R93; draft, "Use of MLS DS/AS").
//!
//! A pseudonym is a user of its own, with one device, for one room. The object of its owner issues
//! it at the owner's device's request. Only these two objects know of each other: no answer names
//! the one where it is asked about the other.

use serde::{Deserialize, Serialize};

use super::{
    deletion,
    devices::{self, Device},
    outgoing::Entry,
    user::{Then, ask, table},
};
use crate::{
    error::{InternalError, ProtocolError, Result},
    mls::{MlsCrypto, labels},
    object::{Reply, Step},
    storage::{Key, Transaction, decode_row, encode_row},
    transport::{Endpoint, ObjectName, Outcome, Response, Source},
    wire::{
        PseudonymGrant, encode,
        uri::{ClientUri, RoomUri, UserUri},
    },
};

/// Most pseudonyms that a user has at a time.
const MAX_PSEUDONYMS: usize = 1000;
/// The length of a pseudonym's local part: 80 random bits.
const NAME_LENGTH: usize = 16;
/// The length of its device's name: 40 random bits.
const DEVICE_LENGTH: usize = 8;
/// RFC 4648's base 32, in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A pseudonym, as its owner's object has it, by its key.
#[derive(Debug, Serialize, Deserialize)]
struct Issued {
    /// The pseudonym's client.
    client: ClientUri,
    /// The device that asked for it.
    device: ClientUri,
}

/// What the object of a pseudonym knows of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Pseudonym {
    owner: UserUri,
    /// The room that it is used in, once there is one (R91).
    room: Option<RoomUri>,
}

/// Whether names like that of `user` are for pseudonyms alone.
pub(super) fn has_form(user: &UserUri) -> bool {
    user.as_str().split_once('@').is_some_and(|(local, _)| {
        local.len() == NAME_LENGTH && local.bytes().all(|byte| BASE32.contains(&byte))
    })
}

/// `POST pseudonyms`: issues one for a device with this key; the same key gets the same again.
///
/// # Errors
/// `Malformed` when `device` did not sign for itself, `NotAllowed` for a key that the user has
/// already and for a pseudonym's device (R92), `TooManyRequests` when the user has its fill.
pub(super) fn request(
    step: &mut Step<'_>,
    crypto: &MlsCrypto,
    device: &ClientUri,
    body: &[u8],
) -> Result<Reply> {
    let (client, key) = devices::signed_key(step.now, crypto, labels::PSEUDONYM, body)?;
    if client != *device {
        return Err(ProtocolError::Malformed("another device").into());
    }
    let refused = |why: &str| Err(ProtocolError::NotAllowed(why.into()).into());
    if load(&step.transaction)?.is_some() {
        return refused("a pseudonym has no pseudonyms");
    }
    if devices::is_key_of_one(&step.transaction, &key)? {
        return refused("a key that is in use");
    }
    let row = issued_key(key.public_key());
    let issued = match step.transaction.load::<Issued>(&row)? {
        Some(issued) if issued.device == *device => issued,
        Some(_) => return refused("a key that is in use"),
        None => {
            if all(&step.transaction)?.len() >= MAX_PSEUDONYMS {
                return Err(ProtocolError::TooManyRequests.into());
            }
            let issued = Issued { client: random_client(step, crypto)?, device: device.clone() };
            step.transaction.store(row.clone(), &issued)?;
            issued
        }
    };
    let endpoint = Endpoint::IssuePseudonym { owner: device.user() };
    let object = ObjectName::user(&issued.client.user());
    let body = encode_row(&(&issued.client, &key))?;
    let then = Then::Issued { key: row, client: issued.client };
    ask(object, Source::Own, endpoint, body, "pseudonym", &then)
}

/// Nobody can have named a room like this before (D15).
fn random_client(step: &Step<'_>, crypto: &MlsCrypto) -> Result<ClientUri> {
    let bytes = crypto.random_bytes(NAME_LENGTH + DEVICE_LENGTH)?;
    let digits = bytes.iter().filter_map(|byte| BASE32.get(usize::from(byte % 32)));
    let digits: String = digits.map(|digit| char::from(*digit)).collect();
    let (name, device) = digits.split_at_checked(NAME_LENGTH).unwrap_or_default();
    Ok(UserUri::parse(&format!("{name}@{}", step.config.domain))?.client(device)?)
}

/// The object of the pseudonym answered its owner's.
pub(super) fn issued(
    step: &mut Step<'_>,
    key: Vec<u8>,
    client: &ClientUri,
    outcome: Outcome,
) -> Result<Response> {
    match outcome.map(|response| response.status) {
        Some(status @ (200 | 201)) => {
            let grant = PseudonymGrant { client_uri: client.to_wire() };
            Ok(Response::tls(status, encode(&grant)?))
        }
        Some(409) => {
            // The next request gets another name.
            step.transaction.delete(key);
            Ok(Response::empty(ProtocolError::HubUnresponsive.status()))
        }
        Some(_) | None => Err(ProtocolError::HubUnresponsive.into()),
    }
}

/// The object of a pseudonym comes to be.
///
/// # Errors
/// `Conflict` when there is, or was, another user of its name.
pub(super) fn issue(step: &mut Step<'_>, owner: UserUri, body: &[u8]) -> Result<Response> {
    let (client, device): (ClientUri, Device) = decode_row(body)?;
    let is_owners = load(&step.transaction)?.is_some_and(|known| known.owner == owner);
    if is_owners && devices::is_registered(&step.transaction, &client, &device)? {
        return Ok(Response::empty(200));
    }
    if devices::exists(&step.transaction)? || deletion::is_deleted(&step.transaction)? {
        return Err(ProtocolError::Conflict("the name is taken").into());
    }
    devices::store(&mut step.transaction, &client, &device)?;
    step.transaction.store(vec![table::PSEUDONYM], &Pseudonym { owner, room: None })?;
    Ok(Response::empty(201))
}

/// R91: whether the user may be used in `room`: a pseudonym in one room alone, everybody else in all.
pub(super) fn may_use(
    transaction: &Transaction<'_>,
    room: Option<&RoomUri>,
) -> Result<bool, InternalError> {
    let Some(pseudonym) = load(transaction)? else { return Ok(true) };
    Ok(room.is_some_and(|room| pseudonym.room.is_none_or(|known| known == *room)))
}

/// R91: the user is used in `room`, a pseudonym from now on there alone.
///
/// # Errors
/// `NotAllowed` when it is used in another one already.
pub(super) fn bind(step: &mut Step<'_>, room: Option<&RoomUri>) -> Result<()> {
    if !may_use(&step.transaction, room)? {
        return Err(ProtocolError::NotAllowed("a pseudonym is for one room".into()).into());
    }
    if let (Some(pseudonym), Some(room)) = (load(&step.transaction)?, room)
        && pseudonym.room.is_none()
    {
        let bound = Pseudonym { room: Some(room.clone()), ..pseudonym };
        step.transaction.store(vec![table::PSEUDONYM], &bound)?;
    }
    Ok(())
}

/// A device of the user is no more, and with it the pseudonyms that it had asked for.
pub(super) fn delete_of(step: &mut Step<'_>, device: &ClientUri) -> Result<(), InternalError> {
    for (key, issued) in all(&step.transaction)? {
        if issued.device == *device {
            step.transaction.delete(key);
            delete(step, &issued)?;
        }
    }
    Ok(())
}

/// The user is deleted: so are its pseudonyms; the owner of one forgets it.
pub(super) fn follow_deletion(step: &mut Step<'_>) -> Result<(), InternalError> {
    for (_, issued) in all(&step.transaction)? {
        delete(step, &issued)?;
    }
    match load(&step.transaction)? {
        Some(Pseudonym { owner, .. }) => {
            Entry::PseudonymDeleted.enqueue(step, ObjectName::user(&owner))
        }
        None => Ok(()),
    }
}

fn delete(step: &mut Step<'_>, issued: &Issued) -> Result<(), InternalError> {
    Entry::DeleteUser.enqueue(step, ObjectName::user(&issued.client.user()))
}

/// A pseudonym of the user is no more.
pub(super) fn forget(step: &mut Step<'_>, user: &UserUri) -> Result<(), InternalError> {
    for (key, issued) in all(&step.transaction)? {
        if issued.client.user() == *user {
            step.transaction.delete(key);
        }
    }
    Ok(())
}

fn load(transaction: &Transaction<'_>) -> Result<Option<Pseudonym>, InternalError> {
    transaction.load(&[table::PSEUDONYM])
}

fn all(transaction: &Transaction<'_>) -> Result<Vec<(Vec<u8>, Issued)>, InternalError> {
    let prefix = [table::PSEUDONYMS];
    let rows = transaction.scan(&prefix, &prefix, usize::MAX)?;
    rows.into_iter().map(|(key, row)| Ok((key, decode_row(&row)?))).collect()
}

fn issued_key(public_key: &[u8]) -> Vec<u8> {
    Key::table(table::PSEUDONYMS).bytes(public_key).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r91_the_form_of_a_pseudonyms_name() {
        for (name, expected) in [
            ("abcdefghijklmno7@alpha.example", true),
            ("2222222222222222@alpha.example", true),
            ("abcdefghijklmno1@alpha.example", false),
            ("abcdefghijklmno@alpha.example", false),
            ("abcdefghijklmnopq@alpha.example", false),
            ("abcdefgh.jklmnop@alpha.example", false),
            ("mimi://alpha.example/u/abcdefghijklmno7", false),
        ] {
            assert_eq!(has_form(&UserUri::parse(name).unwrap()), expected, "{name}");
        }
    }
}
