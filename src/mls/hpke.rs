//! HPKE ([RFC 9180]) as MLS uses it: base mode, one message per key, for the suites that rooms may
//! have. The KEM is DHKEM over X25519 or P-256, the KDF HKDF-SHA256.
//!
//! In scope: sealing, opening, exporting, deriving a key pair. Out of scope: the other modes, and
//! contexts that outlive one message.
//!
//! [RFC 9180]: https://www.rfc-editor.org/rfc/rfc9180.html

use hkdf::{Hkdf, HkdfExtract};
use openmls_traits::types::{
    AeadType, CryptoError, ExporterSecret, HpkeAeadType, HpkeCiphertext, HpkeConfig, HpkeKdfType,
    HpkeKemType, HpkeKeyPair,
};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::algorithms::{aead_open, aead_seal, p256_point, system_random};

/// What every label begins with (§4).
const VERSION: &[u8] = b"HPKE-v1";
/// The mode without pre-shared key and without the sender's key (§5).
const MODE_BASE: u8 = 0;
/// HKDF-SHA256 (§7.2).
const HKDF_SHA256: u16 = 0x0001;
/// Nsk, Nsecret and Nh of both KEMs and of the KDF, in bytes.
const SECRET_BYTES: usize = 32;
/// Nn of all AEADs, in bytes.
const NONCE_BYTES: usize = 12;

type Result<T> = core::result::Result<T, CryptoError>;
type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// The algorithms of one HPKE ciphersuite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hpke {
    kem: Kem,
    aead: Aead,
}

#[derive(Debug, Clone, Copy)]
enum Kem {
    P256 = 0x0010,
    X25519 = 0x0020,
}

#[derive(Debug, Clone, Copy)]
enum Aead {
    Aes128Gcm = 0x0001,
    ChaCha20Poly1305 = 0x0003,
}

/// What one message is sealed with (§5.1).
struct Context {
    key: Zeroizing<Vec<u8>>,
    nonce: [u8; NONCE_BYTES],
    exporter_secret: Secret,
}

impl Hpke {
    /// The ciphersuite of this name, when rooms may have it.
    ///
    /// # Errors
    /// [`CryptoError::UnsupportedCiphersuite`].
    pub(super) fn new(HpkeConfig(kem, kdf, aead): &HpkeConfig) -> Result<Self> {
        let kem = match kem {
            HpkeKemType::DhKem25519 => Kem::X25519,
            HpkeKemType::DhKemP256 => Kem::P256,
            _ => return Err(CryptoError::UnsupportedCiphersuite),
        };
        let aead = match aead {
            HpkeAeadType::AesGcm128 => Aead::Aes128Gcm,
            HpkeAeadType::ChaCha20Poly1305 => Aead::ChaCha20Poly1305,
            _ => return Err(CryptoError::UnsupportedCiphersuite),
        };
        match kdf {
            HpkeKdfType::HkdfSha256 => Ok(Self { kem, aead }),
            _ => Err(CryptoError::UnsupportedCiphersuite),
        }
    }

    /// SealBase: `plaintext` for whoever has the private key of `public_key`.
    ///
    /// # Errors
    /// [`CryptoError`] when the key is none of this KEM, or there is no randomness.
    pub(super) fn seal(
        self,
        public_key: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext> {
        self.seal_with(&*fresh_seed()?, public_key, info, aad, plaintext)
    }

    /// As [`Self::seal`], with the key pair that follows from `seed`.
    fn seal_with(
        self,
        seed: &[u8],
        public_key: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext> {
        let (kem_output, context) = self.sender(seed, public_key, info)?;
        let ciphertext = aead_seal(self.aead.mls(), &context.key, &context.nonce, aad, plaintext)?;
        Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
    }

    /// OpenBase: what [`Self::seal`] has sealed.
    ///
    /// # Errors
    /// [`CryptoError::HpkeDecryptionError`] when it was not sealed for this key with these words.
    pub(super) fn open(
        self,
        input: &HpkeCiphertext,
        private_key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>> {
        let context = self.receiver(input.kem_output.as_slice(), private_key, info);
        context
            .and_then(|Context { key, nonce, .. }| {
                aead_open(self.aead.mls(), &key, &nonce, aad, input.ciphertext.as_slice())
            })
            .map_err(|_| CryptoError::HpkeDecryptionError)
    }

    /// SendExportBase: a secret of `length` bytes, shared with whoever has the private key of
    /// `public_key`, and what that one needs to have it too.
    ///
    /// # Errors
    /// [`CryptoError`] when the key is none of this KEM, or the secret is too long.
    pub(super) fn send_export(
        self,
        public_key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<(Vec<u8>, ExporterSecret)> {
        let (kem_output, context) = self.sender(&*fresh_seed()?, public_key, info)?;
        Ok((kem_output, self.export(&context, exporter_context, length)?))
    }

    /// ReceiveExportBase: the other end of [`Self::send_export`].
    ///
    /// # Errors
    /// [`CryptoError`] when a key is none of this KEM, or the secret is too long.
    pub(super) fn receive_export(
        self,
        kem_output: &[u8],
        private_key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<ExporterSecret> {
        let context = self.receiver(kem_output, private_key, info)?;
        self.export(&context, exporter_context, length)
    }

    /// DeriveKeyPair of the KEM (§7.1.3).
    ///
    /// # Errors
    /// [`CryptoError`] when no key follows, which does not happen.
    pub(super) fn derive_key_pair(self, seed: &[u8]) -> Result<HpkeKeyPair> {
        let private = self.kem.derive_private_key(seed)?;
        let public = self.kem.public_key(&*private)?;
        Ok(HpkeKeyPair { private: private.as_slice().into(), public })
    }

    fn sender(self, seed: &[u8], public_key: &[u8], info: &[u8]) -> Result<(Vec<u8>, Context)> {
        let ephemeral = self.kem.derive_private_key(seed)?;
        let kem_output = self.kem.public_key(&*ephemeral)?;
        let dh = self.kem.dh(&*ephemeral, public_key)?;
        let shared = self.kem.extract_and_expand(&dh, &kem_output, public_key)?;
        let context = self.key_schedule(&shared, info)?;
        Ok((kem_output, context))
    }

    fn receiver(self, kem_output: &[u8], private_key: &[u8], info: &[u8]) -> Result<Context> {
        let dh = self.kem.dh(private_key, kem_output)?;
        let public_key = self.kem.public_key(private_key)?;
        let shared = self.kem.extract_and_expand(&dh, kem_output, &public_key)?;
        self.key_schedule(&shared, info)
    }

    /// §5.1, in base mode.
    fn key_schedule(self, shared_secret: &Secret, info: &[u8]) -> Result<Context> {
        let suite = self.suite_id();
        let psk_id_hash = labeled_extract(&suite, &[], b"psk_id_hash", &[]);
        let info_hash = labeled_extract(&suite, &[], b"info_hash", info);
        let schedule = [&[MODE_BASE], psk_id_hash.as_slice(), info_hash.as_slice()].concat();
        let secret = labeled_extract(&suite, &**shared_secret, b"secret", &[]);

        let mut key = Zeroizing::new(vec![0; self.aead.key_bytes()]);
        labeled_expand(&suite, &*secret, b"key", &[&schedule], &mut key)?;
        let mut nonce = [0; NONCE_BYTES];
        labeled_expand(&suite, &*secret, b"base_nonce", &[&schedule], &mut nonce)?;
        let mut exporter_secret = Secret::default();
        labeled_expand(&suite, &*secret, b"exp", &[&schedule], &mut *exporter_secret)?;
        Ok(Context { key, nonce, exporter_secret })
    }

    /// §5.3.
    fn export(self, context: &Context, about: &[u8], length: usize) -> Result<ExporterSecret> {
        let mut secret = Zeroizing::new(vec![0; length]);
        labeled_expand(&self.suite_id(), &*context.exporter_secret, b"sec", &[about], &mut secret)?;
        Ok(secret.as_slice().to_vec().into())
    }

    fn suite_id(self) -> Vec<u8> {
        let numbers = [self.kem as u16, HKDF_SHA256, self.aead as u16].map(u16::to_be_bytes);
        [b"HPKE", numbers.as_flattened()].concat()
    }
}

impl Kem {
    fn suite_id(self) -> [u8; 5] {
        let [high, low] = (self as u16).to_be_bytes();
        [b'K', b'E', b'M', high, low]
    }

    fn derive_private_key(self, seed: &[u8]) -> Result<Secret> {
        let suite = self.suite_id();
        let prk = labeled_extract(&suite, &[], b"dkp_prk", seed);
        let mut private = Secret::default();
        if let Self::X25519 = self {
            labeled_expand(&suite, &*prk, b"sk", &[], &mut *private)?;
            return Ok(private);
        }
        // Not every number is a scalar of the curve: the next one is, but once in 2^32.
        for counter in 0..=u8::MAX {
            labeled_expand(&suite, &*prk, b"candidate", &[&[counter]], &mut *private)?;
            if p256_private_key(&*private).is_ok() {
                return Ok(private);
            }
        }
        Err(CryptoError::CryptoLibraryError)
    }

    /// The serialized public key (§7.1.1) of a private one.
    fn public_key(self, private: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::X25519 => {
                let public = x25519_dalek::PublicKey::from(&x25519_private_key(private)?);
                Ok(public.as_bytes().to_vec())
            }
            Self::P256 => {
                let public = p256_private_key(private)?.public_key();
                Ok(public.to_encoded_point(false).as_bytes().to_vec())
            }
        }
    }

    /// §4.1; both inputs are checked as §7.1.4 demands.
    fn dh(self, private: &[u8], public: &[u8]) -> Result<Secret> {
        match self {
            Self::X25519 => {
                let public: [u8; 32] =
                    public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
                let shared = x25519_private_key(private)?.diffie_hellman(&public.into());
                if !shared.was_contributory() {
                    return Err(CryptoError::InvalidPublicKey);
                }
                Ok(Zeroizing::new(shared.to_bytes()))
            }
            Self::P256 => {
                let private = p256_private_key(private)?;
                let public = p256::PublicKey::from_sec1_bytes(p256_point(public)?)
                    .map_err(|_| CryptoError::InvalidPublicKey)?;
                let shared =
                    p256::ecdh::diffie_hellman(private.to_nonzero_scalar(), public.as_affine());
                Ok(Zeroizing::new((*shared.raw_secret_bytes()).into()))
            }
        }
    }

    fn extract_and_expand(self, dh: &Secret, enc: &[u8], public_key: &[u8]) -> Result<Secret> {
        let suite = self.suite_id();
        let prk = labeled_extract(&suite, &[], b"eae_prk", &**dh);
        let mut secret = Secret::default();
        labeled_expand(&suite, &*prk, b"shared_secret", &[enc, public_key], &mut *secret)?;
        Ok(secret)
    }
}

impl Aead {
    const fn mls(self) -> AeadType {
        match self {
            Self::Aes128Gcm => AeadType::Aes128Gcm,
            Self::ChaCha20Poly1305 => AeadType::ChaCha20Poly1305,
        }
    }

    const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::ChaCha20Poly1305 => 32,
        }
    }
}

fn fresh_seed() -> Result<Secret> {
    let mut seed = Secret::default();
    system_random(&mut *seed)?;
    Ok(seed)
}

fn x25519_private_key(private: &[u8]) -> Result<x25519_dalek::StaticSecret> {
    let bytes: [u8; 32] = private.try_into().map_err(|_| CryptoError::InvalidLength)?;
    Ok(bytes.into())
}

fn p256_private_key(private: &[u8]) -> Result<p256::SecretKey> {
    p256::SecretKey::from_slice(private).map_err(|_| CryptoError::InvalidLength)
}

/// §4.
fn labeled_extract(suite_id: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    for part in [VERSION, suite_id, label, ikm] {
        extract.input_ikm(part);
    }
    Zeroizing::new(extract.finalize().0.into())
}

/// §4; `info` is the concatenation of its parts.
fn labeled_expand(
    suite_id: &[u8],
    prk: &[u8],
    label: &[u8],
    info: &[&[u8]],
    output: &mut [u8],
) -> Result<()> {
    let length = u16::try_from(output.len()).map_err(|_| CryptoError::HkdfOutputLengthInvalid)?;
    let length = length.to_be_bytes();
    let labeled = [&[&length, VERSION, suite_id, label], info].concat();
    let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| CryptoError::InvalidLength)?;
    hkdf.expand_multi_info(&labeled, output).map_err(|_| CryptoError::HkdfOutputLengthInvalid)
}

#[cfg(test)]
mod tests {
    use openmls_rust_crypto::RustCrypto;
    use openmls_traits::crypto::OpenMlsCrypto;

    use super::*;
    use crate::mls::Algorithms;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
        hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }

    const fn config(kem: HpkeKemType, aead: HpkeAeadType) -> HpkeConfig {
        HpkeConfig(kem, HpkeKdfType::HkdfSha256, aead)
    }

    /// The suites that rooms may have: 1, 2 and 3.
    const SUITES: [(HpkeKemType, HpkeAeadType); 3] = [
        (HpkeKemType::DhKem25519, HpkeAeadType::AesGcm128),
        (HpkeKemType::DhKemP256, HpkeAeadType::AesGcm128),
        (HpkeKemType::DhKem25519, HpkeAeadType::ChaCha20Poly1305),
    ];

    struct Vector {
        config: HpkeConfig,
        ikm_r: &'static str,
        ikm_e: &'static str,
        enc: &'static str,
        ciphertext: &'static str,
    }

    /// RFC 9180 A.1.1 and A.3.1: the setup and the first encryption.
    const VECTORS: [Vector; 2] = [
        Vector {
            config: config(HpkeKemType::DhKem25519, HpkeAeadType::AesGcm128),
            ikm_r: "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
            ikm_e: "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
            enc: "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
            ciphertext: "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9\
                6d8770ac83d07bea87e13c512a",
        },
        Vector {
            config: config(HpkeKemType::DhKemP256, HpkeAeadType::AesGcm128),
            ikm_r: "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
            ikm_e: "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
            enc: "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9\
                8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
            ciphertext: "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f\
                9076ac232e3ab2523f39513434",
        },
    ];

    #[test]
    fn the_vectors_of_rfc_9180_seal_and_open() {
        let info = bytes("4f6465206f6e2061204772656369616e2055726e");
        let aad = bytes("436f756e742d30");
        let plaintext = bytes("4265617574792069732074727574682c20747275746820626561757479");
        for Vector { config, ikm_r, ikm_e, enc, ciphertext } in VECTORS {
            let hpke = Hpke::new(&config).unwrap();
            let HpkeKeyPair { private, public } = hpke.derive_key_pair(&bytes(ikm_r)).unwrap();
            let sealed = hpke.seal_with(&bytes(ikm_e), &public, &info, &aad, &plaintext).unwrap();
            assert_eq!(sealed.kem_output.as_slice(), bytes(enc));
            assert_eq!(sealed.ciphertext.as_slice(), bytes(ciphertext));
            assert_eq!(hpke.open(&sealed, &private, &info, &aad).unwrap(), plaintext);
            let with_other_aad = hpke.open(&sealed, &private, &info, b"Count-1");
            assert_eq!(with_other_aad, Err(CryptoError::HpkeDecryptionError));
        }
    }

    #[test]
    fn another_implementation_opens_what_is_sealed_and_seals_what_is_opened() {
        let (ours, theirs) = (Algorithms, RustCrypto::default());
        for (kem, aead) in SUITES {
            let config = || config(kem, aead);
            let pair = ours.derive_hpke_keypair(config(), b"seed").unwrap();
            let their_pair = theirs.derive_hpke_keypair(config(), b"seed").unwrap();
            assert_eq!(pair.public, their_pair.public);
            assert_eq!(*pair.private, *their_pair.private);

            let sealed = ours.hpke_seal(config(), &pair.public, b"info", b"aad", b"text").unwrap();
            let opened = theirs.hpke_open(config(), &sealed, &pair.private, b"info", b"aad");
            assert_eq!(opened.unwrap(), b"text");
            let sealed =
                theirs.hpke_seal(config(), &pair.public, b"info", b"aad", b"text").unwrap();
            let opened = ours.hpke_open(config(), &sealed, &pair.private, b"info", b"aad");
            assert_eq!(opened.unwrap(), b"text");

            let (enc, secret) = ours
                .hpke_setup_sender_and_export(config(), &pair.public, b"info", b"e", 48)
                .unwrap();
            let same = theirs
                .hpke_setup_receiver_and_export(config(), &enc, &pair.private, b"info", b"e", 48)
                .unwrap();
            assert_eq!(*secret, *same);
            let same = ours
                .hpke_setup_receiver_and_export(config(), &enc, &pair.private, b"info", b"e", 48)
                .unwrap();
            assert_eq!(*secret, *same);
        }
    }

    #[test]
    fn public_keys_that_share_nothing_or_are_written_otherwise_are_refused() {
        let [x25519, p256, _] = SUITES.map(|(kem, aead)| Hpke::new(&config(kem, aead)).unwrap());
        let seal = |hpke: Hpke, key: &[u8]| hpke.seal(key, b"", b"", b"").map(|_| ());
        let refused = Err(CryptoError::InvalidPublicKey);
        // Of order one and two: the shared secret would be all zeros.
        assert_eq!(seal(x25519, &[0; 32]), refused);
        assert_eq!(seal(x25519, &[&[1][..], &[0; 31]].concat()), refused);
        assert_eq!(seal(x25519, &[9; 31]), refused);
        let public = p256.derive_key_pair(b"seed").unwrap().public;
        assert_eq!(seal(p256, &public), Ok(()));
        let compressed = [&[2 | public[64] & 1][..], &public[1..33]].concat();
        assert_eq!(seal(p256, &compressed), refused);
        let mut off_the_curve = public.clone();
        off_the_curve[64] ^= 1;
        assert_eq!(seal(p256, &off_the_curve), refused);
        assert_eq!(seal(p256, &[0]), refused);
        assert_eq!(seal(p256, &[]), refused);
    }

    #[test]
    fn other_suites_are_not_there() {
        for (kem, aead) in [
            (HpkeKemType::DhKemP384, HpkeAeadType::AesGcm128),
            (HpkeKemType::DhKem25519, HpkeAeadType::AesGcm256),
            (HpkeKemType::DhKem25519, HpkeAeadType::Export),
        ] {
            let refused = Hpke::new(&config(kem, aead)).map(|_| ());
            assert_eq!(refused, Err(CryptoError::UnsupportedCiphersuite));
        }
    }
}
