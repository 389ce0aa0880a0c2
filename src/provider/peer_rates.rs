//! How often other providers may ask, counted where their requests come in (D18).

use std::cell::RefCell;

use super::Routed;
use crate::{
    config::ProviderConfig, error::ProtocolError, object::plain_refusal, rate::Buckets,
    time::UnixMillis, transport::Source,
};

/// What each provider may still ask for, as far as this instance knows.
#[derive(Debug, Default)]
pub struct PeerRates(RefCell<Buckets>);

impl PeerRates {
    /// Lets a request through, or answers that there are too many of its provider: 429.
    pub fn admit(&self, config: &ProviderConfig, routed: Routed, now: UnixMillis) -> Routed {
        let Routed::Call(call) = &routed else { return routed };
        let Source::Provider(domain) = &call.request.source else { return routed };
        let rate = config.limits.peer_rate();
        match self.0.borrow_mut().take(domain.as_str(), rate, now) {
            Ok(()) => routed,
            Err(after_seconds) => {
                Routed::Respond(plain_refusal(&ProtocolError::TooFast { after_seconds }))
            }
        }
    }
}
