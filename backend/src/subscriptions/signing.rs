//! The server's secrets: the key that signs webhooks, published as a JWK Set, and the key of wake
//! tokens.
//!
//! Both are generated once and stored, so that signatures and tokens remain valid after a restart.
//!
//! ```text
//! Webhook-Signature: t=1778324210,kid=ds_mQ2...,ed25519=base64url(Ed25519(key, "1778324210." + body))
//! token: base64url({"sub":"sub-1","gen":7,"wake":"w_..."}) + "." + base64url(HMAC-SHA256(secret, first part))
//! ```
//!
//! A token has no expiry of its own: it is valid for its wake, whose lease the server stores and
//! heartbeats extend.
//!
//! Source: Durable Streams protocol, sections 6.5, 7.1 and 12.9; RFC 7517, RFC 7638, RFC 8037.

use super::definition::SubscriptionId;
use super::state::{Moment, WakeKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use std::fmt;
use tailwater_protocol::document;

/// The system has no randomness, or a stored key is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(&'static str);

/// The server's secrets.
pub struct Keys {
    signing: Ed25519KeyPair,
    kid: String,
    sealing: hmac::Key,
    stored: StoredKeys,
}

/// The secrets as stored, each in base64url.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredKeys {
    ed25519_pkcs8: String,
    hmac_sha256: String,
}

/// The public part of the signing key.
///
/// Source: RFC 8037, section 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    kid: String,
    r#use: &'static str,
    alg: &'static str,
    x: String,
}

/// All public keys of webhooks' signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    r#gen: u64,
    wake: String,
}

impl Keys {
    /// Generates new secrets.
    ///
    /// # Errors
    /// [`KeyError`] when the system has no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let no_randomness =
            |_| KeyError("the system provides no random bytes for the webhook keys");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).map_err(no_randomness)?;
        let mut secret = [0; 32];
        random.fill(&mut secret).map_err(no_randomness)?;
        let stored = StoredKeys {
            ed25519_pkcs8: BASE64.encode(pkcs8),
            hmac_sha256: BASE64.encode(secret),
        };
        Self::restore(stored)
    }

    /// Restores stored secrets.
    ///
    /// # Errors
    /// [`KeyError`] when they are invalid.
    pub fn restore(stored: StoredKeys) -> Result<Self, KeyError> {
        let not_base64 = |_| KeyError("the stored webhook keys are not base64url");
        let pkcs8 = BASE64.decode(&stored.ed25519_pkcs8).map_err(not_base64)?;
        let secret = BASE64.decode(&stored.hmac_sha256).map_err(not_base64)?;
        if secret.len() != 32 {
            return Err(KeyError("the stored token secret does not have 32 bytes"));
        }
        let signing = Ed25519KeyPair::from_pkcs8(&pkcs8)
            .map_err(|_| KeyError("the stored signing key is not Ed25519"))?;
        let x = BASE64.encode(signing.public_key());
        let thumbprint = digest::digest(
            &digest::SHA256,
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes(),
        );
        let kid = format!("ds_{}", BASE64.encode(thumbprint));
        Ok(Self {
            signing,
            kid,
            sealing: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            stored,
        })
    }

    /// The secrets to be stored.
    pub fn stored(&self) -> &StoredKeys {
        &self.stored
    }

    /// The id of the signing key: its thumbprint, so that the same key always has the same id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public keys with which receivers verify signatures.
    pub fn jwks(&self) -> Jwks {
        let x = BASE64.encode(self.signing.public_key());
        Jwks {
            keys: vec![Jwk {
                kty: "OKP",
                crv: "Ed25519",
                kid: self.kid.clone(),
                r#use: "sig",
                alg: "EdDSA",
                x,
            }],
        }
    }

    /// The value of `Webhook-Signature` for a body that is sent now.
    pub fn sign(&self, body: &[u8], now: Moment) -> String {
        let seconds = now.0 / 1000;
        let mut signed = format!("{seconds}.").into_bytes();
        signed.extend_from_slice(body);
        let signature = BASE64.encode(self.signing.sign(&signed));
        format!("t={seconds},kid={},ed25519={signature}", self.kid)
    }

    /// The token for one wake of one subscription.
    pub fn seal(&self, id: &SubscriptionId, key: &WakeKey) -> String {
        let claims = Claims {
            sub: id.to_string(),
            r#gen: key.generation,
            wake: key.wake_id.clone(),
        };
        // Strings and numbers can always be serialized.
        let payload = BASE64.encode(serde_json::to_vec(&claims).unwrap_or_default());
        let tag = BASE64.encode(hmac::sign(&self.sealing, payload.as_bytes()));
        format!("{payload}.{tag}")
    }

    /// The wake of a token, if it is valid for this subscription. The tag is compared in constant
    /// time.
    pub fn open(&self, id: &SubscriptionId, token: &str) -> Option<WakeKey> {
        let (payload, tag) = token.split_once('.')?;
        hmac::verify(&self.sealing, payload.as_bytes(), &BASE64.decode(tag).ok()?).ok()?;
        let claims: Claims = document::read(&BASE64.decode(payload).ok()?).ok()?;
        (claims.sub == id.as_str()).then_some(WakeKey {
            generation: claims.r#gen,
            wake_id: claims.wake,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptKeys { .. }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, UnparsedPublicKey};

    fn id(text: &str) -> SubscriptionId {
        SubscriptionId::parse(text).unwrap()
    }

    fn key(generation: u64) -> WakeKey {
        WakeKey {
            generation,
            wake_id: format!("w_{generation}"),
        }
    }

    #[test]
    fn a_signature_verifies_for_its_key_body_and_time_only() {
        let keys = Keys::generate().unwrap();
        let header = keys.sign(b"{\"a\":1}", Moment(1_778_324_210_999));
        let [t, kid, signature] = header.split(',').collect::<Vec<_>>()[..] else {
            panic!("{header}")
        };
        assert_eq!(
            (t, kid),
            ("t=1778324210", format!("kid={}", keys.kid()).as_str())
        );
        let signature = BASE64
            .decode(signature.strip_prefix("ed25519=").unwrap())
            .unwrap();
        let public =
            UnparsedPublicKey::new(&ED25519, BASE64.decode(&keys.jwks().keys[0].x).unwrap());
        assert!(public.verify(b"1778324210.{\"a\":1}", &signature).is_ok());
        assert!(public.verify(b"1778324211.{\"a\":1}", &signature).is_err());
        assert!(public.verify(b"1778324210.{\"a\":2}", &signature).is_err());
    }

    #[test]
    fn stored_keys_restore_to_the_same_keys() {
        let keys = Keys::generate().unwrap();
        let token = keys.seal(&id("a"), &key(3));
        let text = serde_json::to_string(keys.stored()).unwrap();
        let restored = Keys::restore(serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(restored.jwks(), keys.jwks());
        assert_eq!(restored.open(&id("a"), &token), Some(key(3)));
        assert_eq!(restored.kid().len(), "ds_".len() + 43);
    }

    #[test]
    fn a_token_is_bound_to_its_subscription_and_unforgeable() {
        let keys = Keys::generate().unwrap();
        let token = keys.seal(&id("a"), &key(7));
        assert_eq!(keys.open(&id("a"), &token), Some(key(7)));
        assert_eq!(keys.open(&id("b"), &token), None);
        assert_eq!(Keys::generate().unwrap().open(&id("a"), &token), None);
        let (payload, tag) = token.split_once('.').unwrap();
        let forged = BASE64.encode(r#"{"sub":"a","gen":8,"wake":"w_8"}"#);
        for wrong in [
            "",
            ".",
            payload,
            &format!("{forged}.{tag}"),
            &format!("{payload}."),
            &format!("{token}x"),
        ] {
            assert_eq!(keys.open(&id("a"), wrong), None, "{wrong}");
        }
        assert!(!format!("{keys:?} {:?}", keys.stored()).contains(&keys.stored().hmac_sha256));
    }
}
