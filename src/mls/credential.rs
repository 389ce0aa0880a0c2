//! Who a leaf is: a basic credential whose identity is the client's URI (A25).

use openmls::credentials::{BasicCredential, Credential, CredentialWithKey};

use crate::{
    error::ProtocolError,
    wire::uri::{ClientUri, Domain},
};

/// The credential of a client.
#[must_use]
pub fn credential_of(client: &ClientUri) -> Credential {
    BasicCredential::new(client.as_str().as_bytes().to_vec()).into()
}

/// The credential of a hub: its domain (D2).
#[must_use]
pub fn credential_of_hub(domain: &Domain) -> Credential {
    BasicCredential::new(domain.as_str().as_bytes().to_vec()).into()
}

/// The credential of a client and the key that it signs with.
#[must_use]
pub fn credential_with_key(client: &ClientUri, signature_key: &[u8]) -> CredentialWithKey {
    CredentialWithKey { credential: credential_of(client), signature_key: signature_key.into() }
}

/// The client that a credential names.
///
/// # Errors
/// [`ProtocolError::InvalidProposal`] when it is not basic, or its identity is no client's URI.
pub fn client_uri_of(credential: &Credential) -> Result<ClientUri, ProtocolError> {
    const NOT_A_CLIENT: ProtocolError =
        ProtocolError::InvalidProposal("a credential names no client");
    let basic = BasicCredential::try_from(credential.clone()).map_err(|_| NOT_A_CLIENT)?;
    let text = std::str::from_utf8(basic.identity()).map_err(|_| NOT_A_CLIENT)?;
    ClientUri::parse(text).map_err(|_| NOT_A_CLIENT)
}

#[cfg(test)]
mod tests {
    use openmls::prelude::CredentialType;

    use super::*;

    #[test]
    fn a25_a_credential_names_its_client() {
        let client = ClientUri::parse("alice@alpha.example/phone").unwrap();
        let credential = credential_of(&client);
        assert_eq!(credential.serialized_content(), b"alice@alpha.example/phone");
        assert_eq!(client_uri_of(&credential).unwrap(), client);
    }

    #[test]
    fn a25_other_credentials_name_nobody() {
        for credential in [
            BasicCredential::new(b"alice@alpha.example".to_vec()).into(),
            BasicCredential::new(vec![0xFF]).into(),
            Credential::new(CredentialType::X509, b"alice@alpha.example/phone".to_vec()),
        ] {
            let error = client_uri_of(&credential).unwrap_err();
            assert_eq!(error, ProtocolError::InvalidProposal("a credential names no client"));
        }
    }
}
