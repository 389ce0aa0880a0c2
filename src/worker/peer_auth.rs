//! The peer's domains out of what the TLS terminator says of its certificate (R2).

use base64ct::{Base64, Encoding as _};
use js_sys::{Object, Reflect};
use x509_cert::{
    Certificate,
    der::{Decode as _, oid::AssociatedOid as _},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::provider::Peer;

/// Who the peer is: the domain `signedBy`, when it signed; else by `request.cf.tlsClientAuth`: strings `certPresented` ("1"), `certVerified`
/// ("SUCCESS"), `certRevoked` ("0") and `certRFC9440`, the leaf's DER in base64 between colons.
pub(super) fn peer(auth: &Object) -> Peer {
    let member = |name: &str| {
        Reflect::get(auth, &name.into())
            .ok()
            .and_then(|value| value.as_string())
            .unwrap_or_default()
    };
    // The shell has verified the signature (RFC 9421).
    if let Some(domain) = Some(member("signedBy")).filter(|domain| !domain.is_empty()) {
        return Peer::Verified(vec![domain]);
    }
    if member("certPresented") != "1" {
        return Peer::None;
    }
    if member("certVerified") != "SUCCESS" || member("certRevoked") == "1" {
        return Peer::Refused;
    }
    dns_names(&member("certRFC9440")).map_or(Peer::Refused, Peer::Verified)
}

/// The DNS names of the subject alternative name, in the certificate's order.
fn dns_names(rfc9440: &str) -> Option<Vec<String>> {
    let der = Base64::decode_vec(rfc9440.trim().strip_prefix(':')?.strip_suffix(':')?).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    let extensions = certificate.tbs_certificate.extensions?;
    let extension = extensions.iter().find(|e| e.extn_id == SubjectAltName::OID)?;
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes()).ok()?;
    let dns = names.0.into_iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string().to_ascii_lowercase()),
        _ => None,
    });
    Some(dns.collect())
}
