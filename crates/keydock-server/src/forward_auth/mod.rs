//! Answering gateways: may this request pass, and whose is it?
//!
//! A gateway in front of something else shows keydock the head of each request and lets it pass, or
//! not, as the answer says. What it demands of the key stands in the address that it asks, never in
//! what its client sends; what a client adds to it can only make it stricter.

pub mod api;

use http::{HeaderMap, HeaderName, HeaderValue};
use keydock_core::{
    id::{self, Id},
    organizations::OrgName,
    role::Tier,
    secret::KeyKind,
    text::ApiName,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{
    Error, FieldError, Result,
    access::{
        Genuine, Refusal, Takes,
        keyring::{Opens, OrgFacts, Seen, Verified},
        tier_for,
    },
    deployments::directory::Named,
};

/// A key that works, wherever it was found.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    id: Id<id::AnyKey>,
    org: &'a OrgFacts,
    opens: &'a Opens,
}

impl<'a> Shown<'a> {
    /// Its organization.
    pub fn org(self) -> &'a OrgFacts {
        self.org
    }

    fn genuine(self) -> Genuine {
        self.opens.genuine(self.id, self.org.number)
    }
}

impl<'a> From<&'a Verified> for Shown<'a> {
    fn from(key: &'a Verified) -> Self {
        Self { id: key.key, org: &key.org, opens: &key.opens }
    }
}

impl<'a> From<Seen<'a>> for Shown<'a> {
    fn from(key: Seen<'a>) -> Self {
        Self { id: key.key(), org: key.org(), opens: key.opens() }
    }
}

/// What a key must be so that a request passes. Empty, any key that works will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    kinds: Vec<KeyKind>,
    org: Option<OrgName>,
    deployment: Option<ApiName>,
    tier: Option<Tier>,
}

impl Demand {
    /// Reads `kind=…&org=…&deployment=…&tier=…`. What is not understood is refused: a demand that is
    /// misspelt must not be none.
    pub fn parse(text: &str) -> Result<Self> {
        let mut demand = Self::default();
        if text.is_empty() {
            return Ok(demand);
        }
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let understood = match &*name {
                "kind" if demand.kinds.is_empty() => {
                    let kinds = value.split(',').map(|kind| kind.trim().parse().ok());
                    kinds.collect::<Option<_>>().map(|kinds| demand.kinds = kinds)
                }
                "org" if demand.org.is_none() => {
                    value.parse().ok().map(|org| demand.org = Some(org))
                }
                "deployment" if demand.deployment.is_none() => {
                    value.parse().ok().map(|name| demand.deployment = Some(name))
                }
                "tier" if demand.tier.is_none() => {
                    value.parse().ok().map(|tier| demand.tier = Some(tier))
                }
                _ => None,
            };
            if understood.is_none() {
                return Err(FieldError::invalid(
                    name.chars().take(64).collect::<String>(),
                    "A gateway demands kind, org, deployment and tier, each at most once, with \
                     values that exist.",
                )
                .into());
            }
        }
        Ok(demand)
    }

    /// The deployment that the key must open.
    pub fn deployment(&self) -> Option<&ApiName> {
        self.deployment.as_ref()
    }

    /// Refuses a key that is not what is demanded, for a request that has these methods, as far as
    /// anybody says. The deployment is another matter.
    pub fn confirm<'a>(
        &self,
        key: Shown<'_>,
        methods: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Refusal> {
        let wrong_kind = |takes| Err(Refusal::WrongKind { sent: key.genuine(), takes });
        if !self.kinds.is_empty() && !self.kinds.contains(&key.opens.kind()) {
            return wrong_kind(match self.kinds[0] {
                KeyKind::Platform | KeyKind::PlatformApi | KeyKind::PlatformToken => {
                    Takes::Platform
                }
                KeyKind::Deployment | KeyKind::OrgDeployment => Takes::Deployment,
            });
        }
        if self.org.as_ref().is_some_and(|org| *org != key.org.name) {
            return Err(Refusal::OtherOrganization);
        }
        match key.opens {
            Opens::Organization { .. } => self.confirm_tier(Tier::FullAccess, methods),
            Opens::OrganizationTiered(key) => self.confirm_tier(key.tier, methods),
            Opens::Deployment(_) | Opens::Deployments(_) if self.tier.is_some() => {
                wrong_kind(Takes::Platform)
            }
            Opens::Deployment(_) | Opens::Deployments(_) => Ok(()),
        }
    }

    fn confirm_tier<'a>(
        &self,
        tier: Tier,
        methods: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Refusal> {
        let demanded = self.tier.map(|tier| match tier {
            Tier::Read => "GET",
            Tier::ReadWrite => "POST",
            Tier::FullAccess => "DELETE",
        });
        let methods = methods.map(|method| std::str::from_utf8(method).unwrap_or_default());
        let strictest = methods.chain(demanded).max_by_key(|method| tier_for(method));
        match strictest {
            Some(method) if tier < tier_for(method) => {
                Err(Refusal::Tier { tier, method: method.chars().take(32).collect() })
            }
            _ => Ok(()),
        }
    }
}

/// Refuses a key that does not open the deployment which is demanded.
pub fn confirm_deployment(key: Shown<'_>, demanded: Option<Named>) -> Result<()> {
    let is_opened = match key.opens {
        Opens::Organization { .. } | Opens::OrganizationTiered(_) => {
            let sent = key.genuine();
            return Err(Refusal::WrongKind { sent, takes: Takes::Deployment }.into());
        }
        Opens::Deployment(opened) => demanded.is_some_and(|named| named.id == *opened),
        Opens::Deployments(opened) => demanded.is_some_and(|named| opened.opens(named.id)),
    };
    if !is_opened {
        return Err(Refusal::OtherDeployment.into());
    }
    if demanded.is_some_and(|named| !named.is_active) {
        return Err(Error::forbidden("This deployment is switched off. An owner can activate it."));
    }
    Ok(())
}

/// The headers that say whose request it is. All are always there, so that a gateway which copies them
/// leaves nothing that its client wrote.
pub fn identity(key: Shown<'_>) -> HeaderMap {
    // What people wrote about the key of one deployment is not in memory.
    let name = key.opens.key_name().map_or("", |name| name.as_ref());
    let headers = [
        ("x-keydock-organization", safe(key.org.name.as_str())),
        ("x-keydock-key-id", safe(&key.id.to_string())),
        ("x-keydock-key-name", safe(name)),
        ("x-keydock-key-kind", HeaderValue::from_static(key.opens.kind().as_str())),
        ("x-keydock-permission", HeaderValue::from_static(key.opens.permission())),
    ];
    headers.into_iter().map(|(name, value)| (HeaderName::from_static(name), value)).collect()
}

/// A text as the value of a header: what is not printable ASCII is percent-encoded, and so is `%`.
fn safe(text: &str) -> HeaderValue {
    const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');
    let encoded = utf8_percent_encode(text, UNSAFE).to_string();
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keydock_core::id::{OrgNumber, UserNumber};

    use super::*;
    use crate::access::keyring::{ApiKey, OrgWide};

    #[test]
    fn a_demand_that_is_not_understood_is_refused() {
        let whole = Demand::parse("kind=platform&org=mock_org&tier=read_write").unwrap();
        assert_eq!(whole.kinds, [KeyKind::Platform]);
        assert_eq!(whole.tier, Some(Tier::ReadWrite));
        assert_eq!(Demand::parse("").unwrap(), Demand::default());
        let both = Demand::parse("kind=deployment,platform").unwrap();
        assert_eq!(both.kinds, [KeyKind::Deployment, KeyKind::Platform]);
        for text in [
            "kinds=platform",
            "kind=",
            "kind=platfrom",
            "kind=platform,",
            "org=No",
            "tier=all",
            "kind=platform&kind=deployment",
            "deployment=",
            "x",
            "&org=a&org=b",
        ] {
            assert!(Demand::parse(text).is_err(), "{text}");
        }
    }

    fn with_opens<T>(opens: &Opens, then: impl FnOnce(Shown<'_>) -> T) -> T {
        let org = OrgFacts {
            number: OrgNumber::from_i64(1),
            name: "mock_org".parse().unwrap(),
            title: "Mock".into(),
        };
        let id = "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596877".parse().unwrap();
        then(Shown { id, org: &org, opens })
    }

    /// The strictest of what anybody says about the method counts, and what is demanded besides.
    #[test]
    fn the_tier_goes_as_far_as_the_strictest_method() {
        let demanded = |tier: Tier, demand: &str, methods: &[&str]| {
            let key = ApiKey {
                kind: KeyKind::PlatformApi,
                name: "ci".into(),
                tier,
                user: UserNumber::from_i64(1),
            };
            let methods = methods.iter().map(|method| method.as_bytes());
            let demand = Demand::parse(demand).unwrap();
            with_opens(&Opens::OrganizationTiered(Arc::new(key)), |key| {
                demand.confirm(key, methods)
            })
        };
        for (tier, demand, methods, passes) in [
            (Tier::Read, "", &["GET"][..], true),
            (Tier::Read, "", &["HEAD", "OPTIONS"], true),
            (Tier::Read, "", &["GET", "POST"], false),
            (Tier::Read, "", &["POST", "GET"], false),
            (Tier::Read, "", &["get"], false),
            (Tier::Read, "tier=read", &["GET"], true),
            (Tier::Read, "tier=read_write", &["GET"], false),
            (Tier::ReadWrite, "", &["PUT", "PATCH"], true),
            (Tier::ReadWrite, "", &["DELETE"], false),
            (Tier::ReadWrite, "", &["GET", "PROPFIND"], false),
            (Tier::ReadWrite, "tier=full_access", &["GET"], false),
            (Tier::FullAccess, "tier=full_access", &["DELETE", "PROPFIND"], true),
        ] {
            let outcome = demanded(tier, demand, methods);
            assert_eq!(outcome.is_ok(), passes, "{tier:?} {demand} {methods:?}");
            let refused = matches!(outcome, Err(Refusal::Tier { .. }));
            assert_eq!(refused, !passes, "{tier:?} {demand} {methods:?}");
        }
        assert!(matches!(
            demanded(Tier::FullAccess, "kind=platform", &["GET"]),
            Err(Refusal::WrongKind { .. })
        ));
        assert!(demanded(Tier::Read, "kind=platform,platform_api", &["GET"]).is_ok());
    }

    #[test]
    fn a_key_of_several_deployments_opens_those_and_no_others() {
        let [first, second] =
            ["0198c3f2-a7c8-7b0e-8f1d-2c3b4a596801", "0198c3f2-a7c8-7b0e-8f1d-2c3b4a596802"]
                .map(|id| id.parse::<Id<id::Deployment>>().unwrap());
        let named = |id, is_active| Some(Named { id, is_active });
        let opens = |opens_all, demanded| {
            let key = OrgWide { key_name: "all".into(), opens_all, deployments: Box::new([first]) };
            let opens = Opens::Deployments(Arc::new(key));
            with_opens(&opens, |key| confirm_deployment(key, demanded)).is_ok()
        };
        assert!(opens(false, named(first, true)) && !opens(false, named(second, true)));
        assert!(opens(true, named(second, true)) && !opens(true, None));
        assert!(!opens(true, named(first, false)), "it is switched off");
    }

    #[test]
    fn names_are_safe_in_headers() {
        assert_eq!(safe("Key #1"), "Key #1");
        assert_eq!(safe("Schlüssel"), "Schl%C3%BCssel");
        assert_eq!(
            safe("100%\r\nX-Keydock-Organization: other"),
            "100%25%0D%0AX-Keydock-Organization: other"
        );
    }
}
