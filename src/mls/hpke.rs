//! HPKE ([RFC 9180]) as MLS uses it: base mode, one message per key, for the suites that rooms may
//! have.
//!
//! In scope: MLS's names and errors for what the crate `hpke` does, and its randomness. Out of
//! scope: the other modes, and contexts that outlive one message.
//!
//! [RFC 9180]: https://www.rfc-editor.org/rfc/rfc9180.html

use ::hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable,
    aead::{Aead, AeadCtxR, AeadCtxS, AesGcm128, ChaCha20Poly1305},
    kdf::HkdfSha256,
    kem::{DhP256HkdfSha256, X25519HkdfSha256},
    rand_core::{CryptoRng, RngCore, impls},
    setup_receiver, setup_sender,
};
use openmls_traits::types::{
    CryptoError, ExporterSecret, HpkeAeadType, HpkeCiphertext, HpkeConfig, HpkeKdfType,
    HpkeKemType, HpkeKeyPair,
};
use zeroize::Zeroizing;

use super::algorithms::system_random;

type Result<T> = core::result::Result<T, CryptoError>;

/// The algorithms of one HPKE ciphersuite.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hpke {
    X25519Aes128Gcm,
    P256Aes128Gcm,
    X25519ChaCha20Poly1305,
}

/// Calls a function with the types of a suite.
macro_rules! with_types_of {
    ($suite:expr, $function:ident($($argument:expr),*)) => {
        match $suite {
            Hpke::X25519Aes128Gcm => $function::<X25519HkdfSha256, AesGcm128>($($argument),*),
            Hpke::P256Aes128Gcm => $function::<DhP256HkdfSha256, AesGcm128>($($argument),*),
            Hpke::X25519ChaCha20Poly1305 => {
                $function::<X25519HkdfSha256, ChaCha20Poly1305>($($argument),*)
            }
        }
    };
}

impl Hpke {
    /// The ciphersuite of this name, when rooms may have it.
    ///
    /// # Errors
    /// [`CryptoError::UnsupportedCiphersuite`].
    pub(super) const fn new(config: &HpkeConfig) -> Result<Self> {
        let HpkeConfig(kem, HpkeKdfType::HkdfSha256, aead) = config else {
            return Err(CryptoError::UnsupportedCiphersuite);
        };
        match (kem, aead) {
            (HpkeKemType::DhKem25519, HpkeAeadType::AesGcm128) => Ok(Self::X25519Aes128Gcm),
            (HpkeKemType::DhKemP256, HpkeAeadType::AesGcm128) => Ok(Self::P256Aes128Gcm),
            (HpkeKemType::DhKem25519, HpkeAeadType::ChaCha20Poly1305) => {
                Ok(Self::X25519ChaCha20Poly1305)
            }
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
        self.seal_with(system_random, public_key, info, aad, plaintext)
    }

    /// As [`Self::seal`], with this source of randomness.
    fn seal_with(
        self,
        source: Source,
        public_key: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext> {
        with_types_of!(self, seal(source, public_key, info, aad, plaintext))
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
        with_types_of!(self, open(input, private_key, info, aad))
            .map_err(|_| CryptoError::HpkeDecryptionError)
    }

    /// SendExportBase: a secret of `length` bytes, shared with whoever has the private key of
    /// `public_key`, and what that one needs to have it too.
    ///
    /// # Errors
    /// [`CryptoError`] when the key is none of this KEM, the secret is too long, or there is no
    /// randomness.
    pub(super) fn send_export(
        self,
        public_key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<(Vec<u8>, ExporterSecret)> {
        with_types_of!(self, send_export(public_key, info, exporter_context, length))
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
        with_types_of!(
            self,
            receive_export(kem_output, private_key, info, exporter_context, length)
        )
    }

    /// DeriveKeyPair of the KEM (§7.1.3).
    pub(super) fn derive_key_pair(self, seed: &[u8]) -> HpkeKeyPair {
        match self {
            Self::P256Aes128Gcm => derive_key_pair::<DhP256HkdfSha256>(seed),
            Self::X25519Aes128Gcm | Self::X25519ChaCha20Poly1305 => {
                derive_key_pair::<X25519HkdfSha256>(seed)
            }
        }
    }
}

fn seal<K: Kem, A: Aead>(
    source: Source,
    public_key: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<HpkeCiphertext> {
    let (kem_output, mut context) = sender::<K, A>(source, public_key, info)?;
    let ciphertext = context.seal(plaintext, aad).map_err(crypto_error)?;
    Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
}

fn open<K: Kem, A: Aead>(
    input: &HpkeCiphertext,
    private_key: &[u8],
    info: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>> {
    let mut context = receiver::<K, A>(input.kem_output.as_slice(), private_key, info)?;
    context.open(input.ciphertext.as_slice(), aad).map_err(crypto_error)
}

fn send_export<K: Kem, A: Aead>(
    public_key: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    length: usize,
) -> Result<(Vec<u8>, ExporterSecret)> {
    let (kem_output, context) = sender::<K, A>(system_random, public_key, info)?;
    let mut secret = vec![0; length];
    context.export(exporter_context, &mut secret).map_err(crypto_error)?;
    Ok((kem_output, secret.into()))
}

fn receive_export<K: Kem, A: Aead>(
    kem_output: &[u8],
    private_key: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    length: usize,
) -> Result<ExporterSecret> {
    let context = receiver::<K, A>(kem_output, private_key, info)?;
    let mut secret = vec![0; length];
    context.export(exporter_context, &mut secret).map_err(crypto_error)?;
    Ok(secret.into())
}

fn derive_key_pair<K: Kem>(seed: &[u8]) -> HpkeKeyPair {
    let (private, public) = K::derive_keypair(seed);
    let private = Zeroizing::new(private.to_bytes());
    HpkeKeyPair { private: private.as_slice().into(), public: public.to_bytes().to_vec() }
}

fn sender<K: Kem, A: Aead>(
    source: Source,
    public_key: &[u8],
    info: &[u8],
) -> Result<(Vec<u8>, AeadCtxS<A, HkdfSha256, K>)> {
    let public_key =
        K::PublicKey::from_bytes(public_key).map_err(|_| CryptoError::InvalidPublicKey)?;
    let mut randomness = Randomness { source, outcome: Ok(()) };
    let sender = setup_sender::<_, _, K, _>(&OpModeS::Base, &public_key, info, &mut randomness);
    randomness.outcome?;
    let (kem_output, context) = sender.map_err(crypto_error)?;
    Ok((kem_output.to_bytes().to_vec(), context))
}

fn receiver<K: Kem, A: Aead>(
    kem_output: &[u8],
    private_key: &[u8],
    info: &[u8],
) -> Result<AeadCtxR<A, HkdfSha256, K>> {
    let private_key =
        K::PrivateKey::from_bytes(private_key).map_err(|_| CryptoError::InvalidLength)?;
    let kem_output =
        K::EncappedKey::from_bytes(kem_output).map_err(|_| CryptoError::InvalidPublicKey)?;
    setup_receiver::<_, _, K>(&OpModeR::Base, &private_key, &kem_output, info).map_err(crypto_error)
}

const fn crypto_error(error: HpkeError) -> CryptoError {
    match error {
        HpkeError::EncapError | HpkeError::DecapError => CryptoError::InvalidPublicKey,
        HpkeError::KdfOutputTooLong => CryptoError::HkdfOutputLengthInvalid,
        HpkeError::OpenError => CryptoError::HpkeDecryptionError,
        _ => CryptoError::CryptoLibraryError,
    }
}

/// Fills a buffer with randomness.
type Source = fn(&mut [u8]) -> Result<()>;

/// A source of randomness for who expects that none fails: whether it did is asked afterwards, and
/// then what was made with it is dropped.
struct Randomness {
    source: Source,
    outcome: Result<()>,
}

impl CryptoRng for Randomness {}

impl RngCore for Randomness {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.outcome = self.outcome.and_then(|()| (self.source)(bytes));
    }
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

    fn suites() -> [Hpke; 3] {
        SUITES.map(|(kem, aead)| Hpke::new(&config(kem, aead)).unwrap())
    }

    struct Vector {
        config: HpkeConfig,
        ikm_r: &'static str,
        source: Source,
        enc: &'static str,
        ciphertext: &'static str,
    }

    /// RFC 9180 A.1.1 and A.3.1: the setup and the first encryption.
    const VECTORS: [Vector; 2] = [
        Vector {
            config: config(HpkeKemType::DhKem25519, HpkeAeadType::AesGcm128),
            ikm_r: "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
            source: |ephemeral| {
                ephemeral.copy_from_slice(&bytes(
                    "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
                ));
                Ok(())
            },
            enc: "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
            ciphertext: "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9\
                6d8770ac83d07bea87e13c512a",
        },
        Vector {
            config: config(HpkeKemType::DhKemP256, HpkeAeadType::AesGcm128),
            ikm_r: "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
            source: |ephemeral| {
                ephemeral.copy_from_slice(&bytes(
                    "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
                ));
                Ok(())
            },
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
        for Vector { config, ikm_r, source, enc, ciphertext } in VECTORS {
            let hpke = Hpke::new(&config).unwrap();
            let HpkeKeyPair { private, public } = hpke.derive_key_pair(&bytes(ikm_r));
            let sealed = hpke.seal_with(source, &public, &info, &aad, &plaintext).unwrap();
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
        let [x25519, p256, _] = suites();
        let seal = |hpke: Hpke, key: &[u8]| hpke.seal(key, b"", b"", b"").map(|_| ());
        let refused = Err(CryptoError::InvalidPublicKey);
        // Of order one and two: the shared secret would be all zeros.
        assert_eq!(seal(x25519, &[0; 32]), refused);
        assert_eq!(seal(x25519, &[&[1][..], &[0; 31]].concat()), refused);
        assert_eq!(seal(x25519, &[9; 31]), refused);
        let public = p256.derive_key_pair(b"seed").public;
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
    fn keys_of_another_length_and_numbers_that_are_no_scalar_open_nothing() {
        for hpke in suites() {
            let HpkeKeyPair { private, public } = hpke.derive_key_pair(b"seed");
            let sealed = hpke.seal(&public, b"", b"", b"text").unwrap();
            let kem_output = sealed.kem_output.as_slice();
            for key in [&private[1..], &[&private[..], &[0]].concat(), &[]] {
                let refused = Err(CryptoError::HpkeDecryptionError);
                assert_eq!(hpke.open(&sealed, key, b"", b""), refused);
                let secret = hpke.receive_export(kem_output, key, b"", b"", 32).map(|_| ());
                assert_eq!(secret, Err(CryptoError::InvalidLength));
            }
        }
        let p256 = Hpke::P256Aes128Gcm;
        let public = p256.derive_key_pair(b"seed").public;
        for number in [[0; 32], [0xff; 32]] {
            let secret = p256.receive_export(&public, &number, b"", b"", 32).map(|_| ());
            assert_eq!(secret, Err(CryptoError::InvalidLength));
        }
    }

    #[test]
    fn what_no_suite_has_sealed_is_not_opened() {
        for hpke in suites() {
            let HpkeKeyPair { private, public } = hpke.derive_key_pair(b"seed");
            let sealed = hpke.seal(&public, b"", b"", b"text").unwrap();
            let (kem_output, text) = (sealed.kem_output.as_slice(), sealed.ciphertext.as_slice());
            let opened = |kem_output: &[u8], text: &[u8]| {
                let ciphertext =
                    HpkeCiphertext { kem_output: kem_output.into(), ciphertext: text.into() };
                hpke.open(&ciphertext, &private, b"", b"")
            };
            assert_eq!(opened(kem_output, text).unwrap(), b"text");
            let refused = Err(CryptoError::HpkeDecryptionError);
            assert_eq!(opened(kem_output, &text[..text.len() - 1]), refused);
            assert_eq!(opened(kem_output, &text[..15]), refused);
            assert_eq!(opened(kem_output, &[]), refused);
            assert_eq!(opened(&kem_output[1..], text), refused);
            assert_eq!(opened(&[0; 32], text), refused);
            assert_eq!(opened(&[], text), refused);

            let secret = hpke.receive_export(&[0; 32], &private, b"", b"", 32).map(|_| ());
            assert_eq!(secret, Err(CryptoError::InvalidPublicKey));
        }
    }

    #[test]
    fn without_randomness_nothing_is_sealed() {
        for hpke in suites() {
            let public = hpke.derive_key_pair(b"seed").public;
            let dry: Source = |_| Err(CryptoError::InsufficientRandomness);
            let sealed = hpke.seal_with(dry, &public, b"", b"", b"text").map(|_| ());
            assert_eq!(sealed, Err(CryptoError::InsufficientRandomness));
        }
    }

    #[test]
    fn each_message_has_an_ephemeral_key_of_its_own() {
        for hpke in suites() {
            let public = hpke.derive_key_pair(b"seed").public;
            let [one, other] = [(); 2].map(|()| hpke.seal(&public, b"", b"", b"text").unwrap());
            assert_ne!(one.kem_output, other.kem_output);
            assert_ne!(one.ciphertext, other.ciphertext);
        }
    }

    #[test]
    fn a_secret_is_at_most_255_hashes_long() {
        for hpke in suites() {
            let HpkeKeyPair { private, public } = hpke.derive_key_pair(b"seed");
            let (kem_output, secret) = hpke.send_export(&public, b"", b"", 255 * 32).unwrap();
            let same = hpke.receive_export(&kem_output, &private, b"", b"", 255 * 32).unwrap();
            assert_eq!(*secret, *same);
            for length in [255 * 32 + 1, 1 << 16] {
                let refused = Err(CryptoError::HkdfOutputLengthInvalid);
                let secret = hpke.send_export(&public, b"", b"", length).map(|_| ());
                assert_eq!(secret, refused);
                let secret = hpke.receive_export(&kem_output, &private, b"", b"", length);
                assert_eq!(secret.map(|_| ()), refused);
            }
        }
    }

    #[test]
    fn other_suites_are_not_there() {
        for (kem, aead) in [
            (HpkeKemType::DhKemP384, HpkeAeadType::AesGcm128),
            (HpkeKemType::DhKemP256, HpkeAeadType::ChaCha20Poly1305),
            (HpkeKemType::DhKem25519, HpkeAeadType::AesGcm256),
            (HpkeKemType::DhKem25519, HpkeAeadType::Export),
        ] {
            let refused = Hpke::new(&config(kem, aead)).map(|_| ());
            assert_eq!(refused, Err(CryptoError::UnsupportedCiphersuite));
        }
        let kdf =
            HpkeConfig(HpkeKemType::DhKem25519, HpkeKdfType::HkdfSha512, HpkeAeadType::AesGcm128);
        assert_eq!(Hpke::new(&kdf).map(|_| ()), Err(CryptoError::UnsupportedCiphersuite));
    }
}
