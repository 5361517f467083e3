//! The answers that RFC 6749 §5.1 and RFC 8628 §3.2 define, read as leniently as is safe.

use std::time::Duration;

use zeroize::Zeroizing;

use super::defect::Defect;
use super::json::{Json, Object};
use super::text;
use c2c_auth_core::{AccessToken, CodeGrant, DeviceCode, RefreshToken, TokenGrant, Unusable, UserCode};

/// Longest life believed of an access token.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(90 * 86_400);

/// Longest life believed of a code: RFC 8628 §3.2 shows 1800 s as an example, and no server is
/// known to exceed it.
pub(super) const CODE_LIFE_MAX: Duration = Duration::from_secs(1800);

/// RFC 8628 §3.2: where no interval is given, clients MUST use 5 s.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);

/// The promises of a provider about its codes, beyond the RFC.
pub(super) struct CodeRules {
    /// True if a user code is of the promised shape.
    pub(super) user_code: fn(&str) -> bool,
    /// True if a code of digits may stand without quotes. Its leading zeros are lost where the
    /// server has left them out as well.
    pub(super) may_be_number: bool,
    /// The page that takes codes, for an answer that names none that a person may be sent to.
    /// Without one such an answer is no good.
    pub(super) page: Option<&'static str>,
    /// Life of a code whose answer does not say.
    pub(super) life: Duration,
    /// Longest pause between polls that the server can impose at first. `slow_down` adds to it.
    pub(super) longest_interval: Duration,
    /// True if `name` is what the page will call this device. No standard has this member.
    pub(super) names_the_device: bool,
}

/// How reading a code failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoCode {
    /// Everything is there, but the user code is not of the promised shape.
    BadUserCode,
    /// Not an answer of the protocol, and why.
    Unusable(Defect),
}

/// RFC 6749 §5.1, to a code: tokens where there were none. `None` where nothing can be kept.
pub(super) fn tokens(object: &Object<'_>, default_life: Duration) -> Option<TokenGrant> {
    Some(read(object, default_life)).filter(|grant| grant.access.is_ok() || matches!(grant.refresh, Ok(Some(_))))
}

/// RFC 6749 §6, to a refresh token, which stays in force where no other comes. Then an access token
/// at least has to be there, or any object would be such an answer.
pub(super) fn renewed(object: &Object<'_>, default_life: Duration) -> Option<TokenGrant> {
    Some(read(object, default_life)).filter(|grant| match &grant.refresh {
        Ok(Some(_)) => true,
        Ok(None) => grant.access != Err(Unusable::Absent),
        Err(_) => grant.access.is_ok(),
    })
}

/// Why nothing can be kept of an answer that should bring tokens.
pub(super) fn defect(object: &Object<'_>) -> Option<Defect> {
    let grant = read(object, TOKEN_LIFE_MAX);
    let of_refresh = |why| Defect::of_token("refresh_token", why);
    match (grant.access.err(), grant.refresh.err()) {
        (Some(Unusable::Absent) | None, Some(why)) => Some(of_refresh(why)),
        (Some(why), _) => Some(Defect::of_token("access_token", why)),
        (None, None) => None,
    }
}

fn read(object: &Object<'_>, default_life: Duration) -> TokenGrant {
    let refresh = match object.get("refresh_token") {
        // Some servers write `false` where they give none. An empty token is none (RFC 6749
        // appendix A.17).
        Json::Null | Json::Bool(_) => Ok(None),
        Json::Text(token) if token.is_empty() => Ok(None),
        Json::Text(token) => text::credential(&token).map(|token| Some(RefreshToken::new(token.to_owned()))),
        Json::Number(_) | Json::List(_) | Json::Object(_) | Json::Odd => Err(Unusable::Characters),
    };
    TokenGrant {
        access: access(object),
        refresh,
        expires_in: life(&object.get("expires_in"), default_life, TOKEN_LIFE_MAX),
    }
}

fn access(object: &Object<'_>) -> Result<AccessToken, Unusable> {
    let token = object.text("access_token").ok_or(Unusable::Absent)?;
    let token = text::credential(&token)?;
    let bearer = match object.get("token_type") {
        Json::Null => true,
        Json::Text(kind) => kind.eq_ignore_ascii_case("bearer"),
        Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) | Json::Odd => false,
    };
    if bearer {
        Ok(AccessToken::new(token.to_owned()))
    } else {
        Err(Unusable::TokenType)
    }
}

// RFC 8628 §3.2.
pub(super) fn code(object: &Object<'_>, rules: &CodeRules) -> Result<CodeGrant, NoCode> {
    const DEVICE_CODE: &str = "device_code";
    let unusable = |why| NoCode::Unusable(Defect::of_token(DEVICE_CODE, why));
    let device_code = object.text(DEVICE_CODE).ok_or(unusable(Unusable::Absent))?;
    let device_code = text::credential(&device_code).map_err(unusable)?;
    // Judged raw: a stripped code would be another code.
    let user_code = object.text("user_code").or_else(|| {
        let digits = object.digits("user_code").filter(|_| rules.may_be_number);
        digits.map(|digits| Zeroizing::new(digits.to_owned()))
    });
    let user_code = user_code
        .filter(|code| (rules.user_code)(code))
        .ok_or(NoCode::BadUserCode)?;
    let address = |key| Some(text::https_uri(&object.text(key)?)?.to_owned());
    // RFC 8628 §3.2 and, in the spelling of its drafts, some servers to this day.
    let pages = ["verification_uri", "verification_url"];
    let page = pages.into_iter().find_map(address);
    let page = page.or_else(|| rules.page.map(str::to_owned)).ok_or_else(|| {
        let given = pages.into_iter().find(|key| object.text(key).is_some());
        NoCode::Unusable(given.map_or(Defect::Missing(pages[0]), Defect::NotHttps))
    })?;
    let complete = ["verification_uri_complete", "verification_url_complete"];
    Ok(CodeGrant {
        device_code: DeviceCode::new(device_code.to_owned()),
        verifier: None,
        user_code: UserCode::new(user_code.to_string()),
        verification_uri: page,
        verification_uri_complete: complete.into_iter().find_map(address).map(UserCode::new),
        device_name: match object.text("name") {
            Some(name) if rules.names_the_device => text::name(&name),
            _ => String::new(),
        },
        expires_in: life(&object.get("expires_in"), rules.life, CODE_LIFE_MAX),
        interval: interval(object, rules).unwrap_or(INTERVAL_DEFAULT),
    })
}

/// Why no code came of it.
pub(super) fn code_defect(object: &Object<'_>, rules: &CodeRules) -> Option<Defect> {
    match code(object, rules).err()? {
        NoCode::Unusable(defect) => Some(defect),
        NoCode::BadUserCode => None,
    }
}

/// A life in whole seconds, rounded down so that nothing is used past its end. Nothing or less is
/// what servers write that do not know: taken at its word, a token would have ended when it came,
/// and with it a pairing that has no refresh token.
fn life(value: &Json<'_>, default: Duration, max: Duration) -> Duration {
    positive(value).map_or(default, |seconds| {
        Duration::from_secs_f64(seconds.floor().clamp(1.0, max.as_secs_f64()))
    })
}

/// The pause between polls in whole seconds, rounded up so that no server is asked too early.
pub(super) fn interval(object: &Object<'_>, rules: &CodeRules) -> Option<Duration> {
    let seconds = positive(&object.get("interval"))?.ceil();
    Some(Duration::from_secs_f64(
        seconds.clamp(1.0, rules.longest_interval.as_secs_f64()),
    ))
}

/// A number above zero. Some servers quote theirs. Then only plain digits are taken for one ("NaN"
/// and "inf" would parse).
fn positive(value: &Json<'_>) -> Option<f64> {
    let number = match value {
        Json::Number(number) => *number,
        Json::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
        Json::Text(_) | Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) | Json::Odd => return None,
    };
    (number > 0.0).then_some(number)
}
