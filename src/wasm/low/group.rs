//! Identities, KeyPackages and groups.

use std::rc::Rc;

use js_sys::{Array, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use super::failure;
use crate::{
    error::{Result as CoreResult, UsageError},
    js::{bytes, number, object, whole},
    low::{
        Changes, CommitOptions, Creation, Group, Identity, KeyPackageKind, KeyPackageStore, Member,
        Pending, PendingKind, Profile, Received, ReceivedCommit, Wanted, inspect_key_package,
    },
    mls::MlsCrypto,
    storage::{Row, Write},
    time::UnixMillis,
    wire::uri::{ClientUri, RoomUri},
};

type Thrown<T> = Result<T, JsValue>;

fn at(now: f64) -> UnixMillis {
    UnixMillis(whole(now))
}

/// Rows out of objects `{key, value}`; a row without a value is none.
fn rows(rows: &Array) -> Thrown<Vec<Row>> {
    let member = |row: &JsValue, name: &str| Reflect::get(row, &name.into());
    let mut read = Vec::new();
    for row in rows.iter() {
        let (key, value) = (member(&row, "key")?, member(&row, "value")?);
        if !value.is_null() {
            read.push((Uint8Array::new(&key).to_vec(), Uint8Array::new(&value).to_vec()));
        }
    }
    Ok(read)
}

fn writes(writes: Vec<Write>) -> Array {
    let write = |write: Write| {
        let value = write.value.map_or(JsValue::NULL, |value| bytes(&value));
        object([("key", bytes(&write.key)), ("value", value)])
    };
    writes.into_iter().map(write).collect()
}

fn list<'b>(items: impl IntoIterator<Item = &'b Vec<u8>>) -> JsValue {
    items.into_iter().map(|item| bytes(item)).collect::<Array>().into()
}

fn clients(clients: &[ClientUri]) -> JsValue {
    clients.iter().map(|client| JsValue::from(client.as_str())).collect::<Array>().into()
}

fn members(members: &[Member]) -> JsValue {
    let member = |member: &Member| {
        object([
            ("index", member.index.into()),
            ("client", member.client.as_str().into()),
            ("user", member.client.user().as_str().into()),
            ("signatureKey", bytes(&member.signature_key)),
        ])
    };
    members.iter().map(member).collect::<Array>().into()
}

/// A client with its key.
#[wasm_bindgen]
pub struct LowIdentity(Rc<Identity>);

#[wasm_bindgen]
impl LowIdentity {
    /// A new key for a client.
    ///
    /// # Errors
    /// When the address is none, or the cipher suite is not accepted.
    pub fn create(client: &str, suite: u16) -> Thrown<LowIdentity> {
        let client = ClientUri::parse(client).map_err(failure)?;
        let identity = Identity::create(client, suite, &MlsCrypto::new()).map_err(failure)?;
        Ok(Self(Rc::new(identity)))
    }

    /// The one that was saved.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn load(saved: &[u8]) -> Thrown<LowIdentity> {
        Ok(Self(Rc::new(Identity::load(saved).map_err(failure)?)))
    }

    /// With its private key.
    ///
    /// # Errors
    /// Never in practice.
    pub fn save(&self) -> Thrown<Vec<u8>> {
        self.0.save().map_err(failure)
    }

    /// The client, its user, the suite and the public key.
    #[must_use]
    pub fn describe(&self) -> JsValue {
        object([
            ("client", self.0.client().as_str().into()),
            ("user", self.0.client().user().as_str().into()),
            ("suite", self.0.suite_number().into()),
            ("signatureKey", bytes(self.0.signature_key())),
        ])
    }
}

/// The KeyPackages of one device.
#[wasm_bindgen]
pub struct LowKeyPackages {
    store: KeyPackageStore,
    identity: Rc<Identity>,
    crypto: MlsCrypto,
}

#[wasm_bindgen]
impl LowKeyPackages {
    /// The store that these rows are of.
    ///
    /// # Errors
    /// When the rows are no objects.
    pub fn open(identity: &LowIdentity, stored: &Array) -> Thrown<LowKeyPackages> {
        let store = KeyPackageStore::open(rows(stored)?);
        Ok(Self { store, identity: Rc::clone(&identity.0), crypto: MlsCrypto::new() })
    }

    /// Makes KeyPackages.
    ///
    /// # Errors
    /// When the days are none, or too many.
    pub fn create(
        &mut self,
        count: u32,
        days: u32,
        last_resort: bool,
        now: f64,
    ) -> Thrown<JsValue> {
        let kind = if last_resort { KeyPackageKind::LastResort } else { KeyPackageKind::SingleUse };
        let made = self
            .store
            .create(&self.identity, &self.crypto, Wanted { kind, count, days }, at(now))
            .map_err(failure)?;
        Ok(list(&made))
    }

    /// All of them.
    ///
    /// # Errors
    /// When the rows are broken.
    pub fn list(&self) -> Thrown<Array> {
        let stored = self.store.list().map_err(failure)?;
        let stored = stored.iter().map(|stored| {
            object([
                ("ref", bytes(&stored.reference)),
                ("lastResort", (stored.kind == KeyPackageKind::LastResort).into()),
                ("expires", number(stored.not_after.0)),
                ("used", stored.used.into()),
            ])
        });
        Ok(stored.collect())
    }

    /// Deletes one.
    ///
    /// # Errors
    /// When the rows are broken.
    pub fn delete(&mut self, reference: &[u8]) -> Thrown<()> {
        self.store.delete(reference, &self.crypto).map_err(failure)
    }

    /// What changed.
    #[wasm_bindgen(js_name = takeWrites)]
    pub fn take_writes(&mut self) -> Array {
        writes(self.store.take_writes())
    }
}

/// What a KeyPackage is.
///
/// # Errors
/// When it is not valid at `now`.
#[wasm_bindgen(js_name = inspectKeyPackage)]
pub fn describe_key_package(key_package: &[u8], now: f64) -> Thrown<JsValue> {
    let valid = inspect_key_package(key_package, &MlsCrypto::new(), at(now)).map_err(failure)?;
    Ok(object([
        ("ref", bytes(&valid.reference)),
        ("client", valid.client.as_str().into()),
        ("user", valid.client.user().as_str().into()),
        ("suite", u16::from(valid.key_package.ciphersuite()).into()),
        ("expires", number(valid.not_after.0)),
        ("lastResort", (valid.kind == KeyPackageKind::LastResort).into()),
    ]))
}

/// One group.
#[wasm_bindgen]
pub struct LowGroup {
    group: Group,
    identity: Rc<Identity>,
}

impl LowGroup {
    fn call<T>(&mut self, act: impl FnOnce(&mut Group, &Identity) -> CoreResult<T>) -> Thrown<T> {
        act(&mut self.group, &self.identity).map_err(failure)
    }
}

/// What a commit or proposals change, out of an object of that type in js/client/low/group.ts.
fn changes(given: &JsValue) -> Thrown<Changes> {
    let member = |name: &str| Reflect::get(given, &name.into());
    let optional = |name: &str| {
        let value = member(name)?;
        Ok::<_, JsValue>((!value.is_undefined()).then(|| Uint8Array::new(&value).to_vec()))
    };
    let app_sync = optional("appSync")?;
    Ok(Changes {
        adds: Array::from(&member("add")?).iter().map(|it| Uint8Array::new(&it).to_vec()).collect(),
        removes: Array::from(&member("remove")?)
            .iter()
            .map(|leaf| {
                let index = leaf.as_f64().and_then(|leaf| u32::try_from(whole(leaf)).ok());
                let index = index.filter(|index| leaf.as_f64() == Some(f64::from(*index)));
                index.ok_or_else(|| failure(UsageError::BadArgument("not a leaf's index")))
            })
            .collect::<Thrown<_>>()?,
        app_sync: app_sync
            .map(|app_sync| crate::low::decode_app_sync(&app_sync).map_err(failure))
            .transpose()?,
        policy: optional("policy")?,
    })
}

#[wasm_bindgen]
impl LowGroup {
    /// The group of a new room.
    ///
    /// # Errors
    /// When the address is none, or `hub` is no `ExternalSender`.
    pub fn create(
        identity: &LowIdentity,
        room: &str,
        profile_a: bool,
        hub: Option<Vec<u8>>,
        now: f64,
    ) -> Thrown<LowGroup> {
        let profile = if profile_a { Profile::A } else { Profile::B };
        let room = RoomUri::parse(room).map_err(failure)?;
        let creation = Creation { profile, hub, now: at(now) };
        let group = Group::create(&identity.0, room, creation).map_err(failure)?;
        Ok(Self { group, identity: Rc::clone(&identity.0) })
    }

    /// By a Welcome.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn join(
        identity: &LowIdentity,
        keys: &mut LowKeyPackages,
        welcome: &[u8],
        tree: &[u8],
    ) -> Thrown<LowGroup> {
        let group = Group::join(&identity.0, &mut keys.store, welcome, tree).map_err(failure)?;
        Ok(Self { group, identity: Rc::clone(&identity.0) })
    }

    /// By an external commit, which is pending.
    ///
    /// # Errors
    /// When GroupInfo and tree cannot be joined by.
    #[wasm_bindgen(js_name = joinExternal)]
    pub fn join_external(
        identity: &LowIdentity,
        group_info: &[u8],
        tree: &[u8],
    ) -> Thrown<LowGroup> {
        let group = Group::join_externally(&identity.0, group_info, tree).map_err(failure)?;
        Ok(Self { group, identity: Rc::clone(&identity.0) })
    }

    /// The one that these rows are of.
    ///
    /// # Errors
    /// When they are none of a group.
    pub fn load(identity: &LowIdentity, stored: &Array) -> Thrown<LowGroup> {
        let group = Group::load(rows(stored)?).map_err(failure)?;
        Ok(Self { group, identity: Rc::clone(&identity.0) })
    }

    /// The room.
    #[must_use]
    pub fn room(&self) -> String {
        self.group.room().to_string()
    }

    /// The epoch, its authenticator, whether this device is in, its leaf, the profile and the list.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn state(&mut self) -> Thrown<JsValue> {
        self.call(|group, _| {
            let list = group.participants()?;
            let participants = list.iter().map(|(user, roles)| {
                let roles = roles.iter().map(|role| JsValue::from(role.name()));
                Array::of2(&user.as_str().into(), &roles.collect::<Array>().into())
            });
            let profile = if group.profile()? == Profile::A { "A" } else { "B" };
            Ok(object([
                ("epoch", group.epoch()?.into()),
                ("authenticator", bytes(&group.authenticator()?)),
                ("active", group.is_active()?.into()),
                ("index", group.own_index()?.into()),
                ("profile", profile.into()),
                ("participants", participants.collect::<Array>().into()),
            ]))
        })
    }

    /// The leaves.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn members(&mut self) -> Thrown<JsValue> {
        self.call(|group, _| Ok(members(&group.members()?)))
    }

    /// The GroupInfo.
    ///
    /// # Errors
    /// When the group is gone.
    #[wasm_bindgen(js_name = groupInfo)]
    pub fn group_info(&mut self) -> Thrown<Vec<u8>> {
        self.call(Group::group_info)
    }

    /// The tree.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn tree(&mut self) -> Thrown<Vec<u8>> {
        self.call(|group, _| group.tree())
    }

    /// A secret of the epoch.
    ///
    /// # Errors
    /// When the length is too much.
    #[wasm_bindgen(js_name = exportSecret)]
    pub fn export_secret(&mut self, label: &str, context: &[u8], length: usize) -> Thrown<Vec<u8>> {
        self.call(|group, _| group.export_secret(label, context, length))
    }

    /// An application message.
    ///
    /// # Errors
    /// While proposals wait.
    pub fn encrypt(&mut self, content: &[u8], aad: &[u8]) -> Thrown<Vec<u8>> {
        self.call(|group, identity| group.encrypt(identity, content, aad))
    }

    /// Makes a commit, which is pending.
    ///
    /// # Errors
    /// When another is pending, or the changes are not valid.
    pub fn commit(
        &mut self,
        given: &JsValue,
        update_keys: bool,
        tree_by_reference: bool,
        now: f64,
    ) -> Thrown<JsValue> {
        let options = CommitOptions { update_keys, tree_by_reference, now: at(now) };
        let given = changes(given)?;
        self.call(|group, identity| group.commit(identity, given, options).map(pending_of))
    }

    /// An `UpdateRequest` with proposals.
    ///
    /// # Errors
    /// When a commit is pending, or the changes cannot be proposed.
    pub fn propose(&mut self, given: &JsValue, now: f64) -> Thrown<Vec<u8>> {
        let given = changes(given)?;
        self.call(|group, identity| group.propose(identity, &given, at(now)))
    }

    /// The references of the proposals that wait.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn proposals(&mut self) -> Thrown<JsValue> {
        self.call(|group, _| Ok(list(&group.proposals()?)))
    }

    /// Forgets the proposals that wait.
    ///
    /// # Errors
    /// When the rows are broken.
    #[wasm_bindgen(js_name = dropProposals)]
    pub fn drop_proposals(&mut self) -> Thrown<()> {
        self.call(|group, _| group.drop_proposals())
    }

    /// The commit of this device that waits.
    #[must_use]
    pub fn pending(&self) -> JsValue {
        self.group.pending().map_or(JsValue::UNDEFINED, pending_of)
    }

    /// The hub took it.
    ///
    /// # Errors
    /// When none waits.
    pub fn accept(&mut self) -> Thrown<()> {
        self.call(|group, _| group.accept())
    }

    /// The hub did not take it.
    ///
    /// # Errors
    /// When the rows are broken.
    pub fn reject(&mut self) -> Thrown<()> {
        self.call(|group, _| group.reject())
    }

    /// Takes in a message.
    ///
    /// # Errors
    /// When it is not valid, or not for this group and epoch.
    pub fn process(&mut self, message: &[u8]) -> Thrown<JsValue> {
        self.call(|group, _| group.process(message)).map(|received| received_of(&received))
    }

    /// The hub took the commit that was received last.
    ///
    /// # Errors
    /// When the last message was no commit.
    #[wasm_bindgen(js_name = acceptReceived)]
    pub fn accept_received(&mut self) -> Thrown<()> {
        self.call(|group, _| group.accept_received())
    }

    /// Forgets the commit that was received last.
    #[wasm_bindgen(js_name = rejectReceived)]
    pub fn reject_received(&mut self) {
        self.group.reject_received();
    }

    /// What changed.
    #[wasm_bindgen(js_name = takeWrites)]
    pub fn take_writes(&mut self) -> Array {
        writes(self.group.take_writes())
    }
}

fn pending_of(pending: &Pending) -> JsValue {
    let Pending { kind, epoch, update, commit, welcome } = pending;
    let kind = if *kind == PendingKind::Join { "join" } else { "commit" };
    object([
        ("kind", kind.into()),
        ("epoch", (*epoch).into()),
        ("update", bytes(update)),
        ("commit", bytes(commit)),
        ("welcome", welcome.as_deref().map_or(JsValue::UNDEFINED, bytes)),
    ])
}

fn received_of(received: &Received) -> JsValue {
    let kind = |kind: &str| ("kind", kind.into());
    match received {
        Received::Application { from, content, aad } => object([
            kind("application"),
            ("from", from.as_str().into()),
            ("content", bytes(content)),
            ("aad", bytes(aad)),
        ]),
        Received::Proposal { from, reference } => object([
            kind("proposal"),
            ("from", from.as_ref().map_or(JsValue::UNDEFINED, |from| from.as_str().into())),
            ("ref", bytes(reference)),
        ]),
        Received::Commit(ReceivedCommit { from, app_syncs, added, removed }) => {
            let syncs = app_syncs.iter().filter_map(|sync| crate::low::encode_app_sync(sync).ok());
            object([
                kind("commit"),
                ("from", from.as_str().into()),
                ("appSyncs", syncs.map(|sync| bytes(&sync)).collect::<Array>().into()),
                ("added", clients(added)),
                ("removed", members(removed)),
            ])
        }
        Received::OwnCommit => object([kind("own-commit")]),
        Received::OwnMessage => object([kind("own-message")]),
        Received::Undecryptable => object([kind("undecryptable")]),
    }
}

/// The list after an AppSync: a `MimiParticipantList`, from one.
///
/// # Errors
/// When they are none, or not valid together.
#[wasm_bindgen(js_name = applyAppSync)]
pub fn apply_app_sync(list: &[u8], app_sync: &[u8]) -> Thrown<Vec<u8>> {
    crate::low::apply_app_sync(list, app_sync).map_err(failure)
}

/// RFC 9420's Proposal that carries an AppSync.
///
/// # Errors
/// When the bytes are no AppSync.
#[wasm_bindgen(js_name = appSyncProposal)]
pub fn app_sync_proposal(profile_a: bool, app_sync: &[u8]) -> Thrown<Vec<u8>> {
    let profile = if profile_a { Profile::A } else { Profile::B };
    crate::low::app_sync_proposal(profile, app_sync).map_err(failure)
}
