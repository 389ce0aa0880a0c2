//! A user's object and its devices, each with its own key.

use std::{cell::Cell, rc::Rc};

use mimi_edge::{
    config::{
        ConsentDefault, HubKey, Limits, Peers, ProviderConfig, Registration, Retention,
        UnknownUsers,
    },
    mls::{
        capabilities,
        credential::credential_with_key,
        labels::{DEVICE, DEVICE_REQUEST, sign_with_label},
    },
    object::Object,
    provider::User,
    time::UnixMillis,
    transport::{
        Action, Effect, Endpoint, IncomingRequest, ObjectCall, Outcome, Outgoing, Response, Source,
    },
    wire::{
        DeviceAuth, DeviceRegistration, DeviceRegistrationTbs, DeviceRequestTbs, FromProvider,
        IdentifierUri, KeyMaterialBody, KeyMaterialRequest, KeyMaterialResponse, KeyPackageList,
        KeyPackageStock, Mls10Request, Protocol, RequiredCapabilities, Verbatim, decode_exact,
        encode,
        uri::{ClientUri, Domain, UserUri},
    },
};
use openmls::{
    key_packages::{KeyPackage, KeyPackageBuilder, Lifetime},
    prelude::{Capabilities, Ciphersuite, OpenMlsProvider, SignatureScheme},
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use sha2::{Digest, Sha256};
use tls_codec::VLBytes;

use super::{clock::real_time, storage::SharedStorage};

pub const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
pub const MINUTE: u64 = 60 * 1000;
pub const DAY: u64 = 24 * 60 * MINUTE;

/// The provider bravo.example.
pub fn config() -> ProviderConfig {
    ProviderConfig {
        domain: Domain::parse("bravo.example").unwrap(),
        hub_keys: vec![HubKey {
            scheme: SignatureScheme::ED25519 as u16,
            private: vec![1; 32],
            public: vec![2; 32],
        }],
        consent_default: ConsentDefault::Allow,
        unknown_users: UnknownUsers::Hidden,
        registration: Registration::Open,
        retention: Retention::default(),
        limits: Limits { burst_per_device: u32::MAX, ..Limits::default() },
        peers: Peers::default(),
    }
}

pub fn user(text: &str) -> UserUri {
    UserUri::parse(text).unwrap()
}

pub fn uri(text: &str) -> IdentifierUri {
    IdentifierUri(text.into())
}

/// A device and its key.
pub struct Device {
    pub client: ClientUri,
    keys: SignatureKeyPair,
    provider: OpenMlsRustCrypto,
    nonces: Cell<u64>,
}

impl Device {
    pub fn new(client: &str) -> Self {
        Self {
            client: ClientUri::parse(client).unwrap(),
            keys: SignatureKeyPair::new(SUITE.signature_algorithm()).unwrap(),
            provider: OpenMlsRustCrypto::default(),
            nonces: Cell::new(0),
        }
    }

    pub fn registration(&self) -> DeviceRegistration {
        self.signed_key(&self.client, DEVICE)
    }

    /// This device's key in the name of `client`.
    pub fn signed_key(&self, client: &ClientUri, label: &str) -> DeviceRegistration {
        let tbs = DeviceRegistrationTbs {
            client_uri: client.to_wire(),
            signature_scheme: SUITE.signature_algorithm() as u16,
            signature_key: self.keys.public().into(),
        };
        let signature = sign_with_label(&self.keys, label, &encode(&tbs).unwrap()).unwrap();
        DeviceRegistration { tbs, signature: signature.into() }
    }

    /// A proof with a nonce of its own.
    pub fn auth(&self, method: &str, path: &str, body: &[u8], created: UnixMillis) -> DeviceAuth {
        self.nonces.set(self.nonces.get() + 1);
        let nonce = u128::from(self.nonces.get()).to_be_bytes();
        self.auth_with_nonce(method, path, body, created, &nonce)
    }

    pub fn auth_with_nonce(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        created: UnixMillis,
        nonce: &[u8],
    ) -> DeviceAuth {
        let tbs = DeviceRequestTbs {
            client_uri: self.client.to_wire(),
            created: created.0,
            nonce: nonce.into(),
            method: method.as_bytes().into(),
            path: path.as_bytes().into(),
            body_hash: Sha256::digest(body).as_slice().into(),
        };
        let signed = sign_with_label(&self.keys, DEVICE_REQUEST, &encode(&tbs).unwrap()).unwrap();
        DeviceAuth {
            client_uri: tbs.client_uri,
            created: tbs.created,
            nonce: tbs.nonce,
            signature: signed.into(),
        }
    }

    /// A KeyPackage for 84 days.
    pub fn key_package(&self, now: UnixMillis) -> KeyPackage {
        self.key_package_until(now, now.plus(84 * DAY))
    }

    pub fn key_package_until(&self, now: UnixMillis, not_after: UnixMillis) -> KeyPackage {
        self.build(builder(now, not_after), capabilities())
    }

    pub fn last_resort(&self, now: UnixMillis) -> KeyPackage {
        self.build(builder(now, now.plus(84 * DAY)).mark_as_last_resort(), capabilities())
    }

    /// A KeyPackage of a device that can do no more than these.
    pub fn key_package_with(&self, now: UnixMillis, capabilities: Capabilities) -> KeyPackage {
        self.build(builder(now, now.plus(84 * DAY)), capabilities)
    }

    fn build(&self, builder: KeyPackageBuilder, capabilities: Capabilities) -> KeyPackage {
        builder
            .leaf_node_capabilities(capabilities)
            .build(
                SUITE,
                &self.provider,
                &self.keys,
                credential_with_key(&self.client, self.keys.public()),
            )
            .unwrap()
            .into_key_package()
    }

    pub fn reference(&self, key_package: &KeyPackage) -> Vec<u8> {
        key_package.hash_ref(self.provider.crypto()).unwrap().as_slice().to_vec()
    }

    /// The same client with another key.
    pub fn impostor(&self) -> Self {
        Self::new(self.client.as_str())
    }
}

fn builder(now: UnixMillis, not_after: UnixMillis) -> KeyPackageBuilder {
    let lifetime = Lifetime::init(now.0 / 1000 - 60, not_after.0 / 1000);
    KeyPackage::builder().key_package_lifetime(lifetime)
}

pub fn bytes_of(key_package: &KeyPackage) -> Vec<u8> {
    encode(key_package).unwrap()
}

pub fn list(key_packages: &[KeyPackage]) -> Vec<u8> {
    let key_packages =
        key_packages.iter().map(|package| Verbatim::own(bytes_of(package)).unwrap()).collect();
    encode(&KeyPackageList { key_packages }).unwrap()
}

/// The object of bob@bravo.example, or of another user there.
pub struct Bob {
    pub object: Object<User>,
    pub storage: SharedStorage,
    pub now: UnixMillis,
    uri: UserUri,
    config: Rc<ProviderConfig>,
}

impl Bob {
    pub fn new(config: ProviderConfig) -> Self {
        Self::of(user("bob@bravo.example"), config)
    }

    /// The object of another user.
    pub fn of(uri: UserUri, config: ProviderConfig) -> Self {
        let (storage, config) = (SharedStorage::default(), Rc::new(config));
        let object = open(&uri, &storage, &config);
        Self { object, storage, now: real_time(), uri, config }
    }

    /// Everything in memory is lost.
    pub fn restart(&mut self) {
        self.object = open(&self.uri, &self.storage, &self.config);
    }

    /// Bob with these devices, registered.
    pub fn with(devices: &[&Device]) -> Self {
        Self::with_config(config(), devices)
    }

    pub fn with_config(config: ProviderConfig, devices: &[&Device]) -> Self {
        let mut bob = Self::new(config);
        for device in devices {
            assert_eq!(bob.register(device).status, 201);
        }
        bob.object.take_effects();
        bob
    }

    pub fn handle(&mut self, source: Source, endpoint: Endpoint, body: Vec<u8>) -> Action {
        self.object.handle(IncomingRequest { source, endpoint, body }, self.now)
    }

    /// The answer to a request from an object of our own.
    pub fn own(&mut self, endpoint: Endpoint, body: Vec<u8>) -> Response {
        answer(self.handle(Source::Own, endpoint, body))
    }

    pub fn resume(&mut self, then: &[u8], outcome: Outcome) -> Action {
        self.object.resume(then, outcome, self.now)
    }

    /// Registers a device; no room has Bob's name.
    pub fn register(&mut self, device: &Device) -> Response {
        let body = encode(&device.registration()).unwrap();
        match self.handle(Source::Own, Endpoint::RegisterDevice, body) {
            Action::Respond(response) => response,
            Action::Forward(forward) => {
                answer(self.resume(&forward.then, Some(Response::empty(404))))
            }
        }
    }

    pub fn signed(&mut self, device: &Device, method: &str, path: &str, body: &[u8]) -> Action {
        let auth = device.auth(method, path, body, self.now);
        self.signed_with(&auth, method, path, body)
    }

    pub fn signed_with(
        &mut self,
        auth: &DeviceAuth,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Action {
        let auth = encode(auth).unwrap();
        let endpoint = Endpoint::Signed { method: method.into(), path: path.into(), auth };
        self.handle(Source::Own, endpoint, body.to_vec())
    }

    pub fn publish(&mut self, device: &Device, key_packages: &[KeyPackage]) -> Response {
        answer(self.signed(device, "POST", "/client/v1/keyPackages", &list(key_packages)))
    }

    pub fn stock(&mut self, device: &Device) -> KeyPackageStock {
        let response = answer(self.signed(device, "GET", "/client/v1/keyPackages", b""));
        assert_eq!(response.status, 200);
        decode_exact(&response.body).unwrap()
    }

    /// The answer to a claim that has to have one.
    pub fn claim(&mut self, request: &KeyMaterialRequest) -> KeyMaterialResponse {
        let response = self.claim_answer(request);
        assert_eq!(response.status, 200);
        decode_exact(&response.body).unwrap()
    }

    pub fn claim_answer(&mut self, request: &KeyMaterialRequest) -> Response {
        let target = self.uri.clone();
        self.own(Endpoint::KeyMaterial { target }, encode(request).unwrap())
    }

    pub fn frame(&mut self, device: Option<&ClientUri>, frame: &[u8]) -> Vec<Effect> {
        self.object.step(self.now, |role, step| role.handle_frame(step, 7, device, frame)).unwrap();
        self.object.take_effects()
    }
}

fn open(uri: &UserUri, storage: &SharedStorage, config: &Rc<ProviderConfig>) -> Object<User> {
    Object::new(User::new(uri.clone()), Box::new(storage.clone()), Rc::clone(config))
}

/// Alice claims Bob's KeyPackages for the room club@alpha.example.
pub fn claim_request() -> KeyMaterialRequest {
    KeyMaterialRequest {
        protocol: Protocol::MLS10,
        requesting_user: uri("alice@alpha.example"),
        target_users: vec![uri("bob@bravo.example")],
        room_id: uri("club@alpha.example"),
        body: KeyMaterialBody::Mls10(Mls10Request {
            acceptable_ciphersuites: vec![SUITE.into()],
            required_capabilities: RequiredCapabilities::default(),
            last_resort_allowed: false,
        }),
    }
}

/// The MLS part of a claim.
pub fn mls10(request: &mut KeyMaterialRequest) -> &mut Mls10Request {
    match &mut request.body {
        KeyMaterialBody::Mls10(body) => body,
        KeyMaterialBody::Unknown(_) => panic!("not MLS 1.0"),
    }
}

pub fn answer(action: Action) -> Response {
    match action {
        Action::Respond(response) => response,
        Action::Forward(forward) => panic!("asks: {}", forward.label),
    }
}

/// Whom an action asks, and what `resume` gets.
pub fn asked(action: Action) -> (ObjectCall, Vec<u8>) {
    let Action::Forward(forward) = action else { panic!("{action:?}") };
    let Outgoing::Object(call) = forward.outgoing else { panic!("not an object") };
    (call, forward.then)
}

/// A Welcome's FanoutMessage for these KeyPackageRefs, by hand.
pub fn welcome(references: &[&[u8]], timestamp: u64) -> Vec<u8> {
    let vector = |content: &[u8]| encode(&VLBytes::from(content)).unwrap();
    let secrets: Vec<u8> = references
        .iter()
        .flat_map(|reference| [vector(reference), vector(b"kem"), vector(b"secret")].concat())
        .collect();
    [
        // MLSMessage: version 1.0, Welcome; suite 1.
        vec![0, 1, 0, 3, 0, 1],
        vector(&secrets),
        vector(b"group info"),
        timestamp.to_be_bytes().to_vec(),
        // RatchetTreeOption: full, of no node.
        vec![1, 0],
    ]
    .concat()
}

/// The plain refusal with this status and text.
pub fn refusal(status: u16, text: &str) -> Response {
    Response::text(status, text)
}

/// The refusal of a request that is not signed in (D21).
pub fn not_signed_in(reason: &str) -> Response {
    let mut response = Response::text(401, &format!("not signed in: {reason}"));
    response.headers.push(("www-authenticate".into(), "Mimi-Device".into()));
    response
}

/// What a device gets that is no more.
pub fn dismissed(device: &Device) -> [Effect; 2] {
    let (device, frame) = (device.client.clone(), encode(&FromProvider::Revoked).unwrap());
    [Effect::Send { device: device.clone(), frame }, Effect::Disconnect { device, code: 4401 }]
}

/// The refusal of a request of a device that is no more (D21).
pub fn revoked() -> Response {
    let mut response = Response::text(401, "the device was revoked");
    response.headers.push(("www-authenticate".into(), "Mimi-Device error=\"revoked\"".into()));
    response
}
