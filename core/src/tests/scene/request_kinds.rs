//! What a request is for.

use super::*;

pub(in crate::tests) fn is_code(request: &Request) -> bool {
    matches!(request, Request::DeviceCode)
}
pub(in crate::tests) fn is_poll(request: &Request) -> bool {
    matches!(request, Request::Poll(_))
}
pub(in crate::tests) fn is_prepare(request: &Request) -> bool {
    matches!(request, Request::Prepare)
}
pub(in crate::tests) fn is_refresh(request: &Request) -> bool {
    matches!(request, Request::Refresh { .. })
}
pub(in crate::tests) fn is_authorize(request: &Request) -> bool {
    matches!(request, Request::Authorize)
}
pub(in crate::tests) fn is_exchange(request: &Request) -> bool {
    matches!(request, Request::Exchange { .. })
}
pub(in crate::tests) fn is_identify(request: &Request) -> bool {
    matches!(request, Request::Identify(_))
}
pub(in crate::tests) fn is_revoke(request: &Request) -> bool {
    matches!(request, Request::Revoke(_))
}
pub(in crate::tests) fn is_heartbeat(request: &Request) -> bool {
    matches!(request, Request::Heartbeat(_))
}
