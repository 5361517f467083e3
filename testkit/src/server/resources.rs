//! The resources that a bearer token opens: device information and the heartbeat.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{
    call::{Call, Reply},
    state::{Device, State},
    truth::Violation,
};

// "Not more than once per minute", less what a timer and the network may shave off.
const HEARTBEAT_FLOOR: Duration = Duration::from_secs(59);
// Shown offline after so long a silence.
const ONLINE_FOR: Duration = Duration::from_secs(5 * 60);

impl State {
    pub(super) fn me(&mut self, call: &Call) -> Reply {
        let now = self.now();
        let Some(client_id) = self.enter(call, now) else {
            return Reply::unauthorized();
        };
        let name = self.device_name(&client_id);
        self.devices
            .get(&client_id)
            .map_or_else(Reply::unauthorized, |d| Reply::found(describe(d, &name, now)))
    }

    pub(super) fn heartbeat(&mut self, call: &Call) -> Reply {
        let now = self.now();
        let Some(device) = self.enter(call, now).and_then(|id| self.devices.get_mut(&id)) else {
            return Reply::unauthorized();
        };
        let last = device.heartbeat.replace(now);
        let too_soon = last
            .and_then(|l| now.duration_since(l).ok())
            .is_some_and(|gap| gap < HEARTBEAT_FLOOR);
        if too_soon {
            self.truth.violations.push(Violation::HeartbeatTooSoon);
        }
        self.truth.counters.heartbeats += 1;
        Reply::nothing()
    }

    // Whose living token this is. Any call resets the unit's presence.
    fn enter(&mut self, call: &Call, now: SystemTime) -> Option<String> {
        self.end_chosen(now);
        let token = call.bearer.as_deref().filter(|t| !t.is_empty())?;
        let (client_id, device) = self.devices.iter_mut().find(|(_, d)| {
            d.grant
                .as_ref()
                .is_some_and(|g| g.access == token && now < g.access_ends)
        })?;
        device.last_seen = now;
        if let Some(version) = &call.client_version {
            device.firmware.clone_from(version);
        }
        Some(client_id.clone())
    }
}

fn describe(device: &Device, name: &str, now: SystemTime) -> Value {
    let online = now
        .duration_since(device.last_seen)
        .is_ok_and(|silence| silence < ONLINE_FOR);
    let status = if device.paused {
        "paused"
    } else if online {
        "online"
    } else {
        "offline"
    };
    let creator = "8437941d-dad1-467d-ba57-6758be7c5598";
    let (paired, seen) = (timestamp(device.paired_at), timestamp(device.last_seen));
    json!({
        "_type": "project_device",
        "id": device.id,
        "asset_type": "video",
        "creator_id": creator,
        "deleted_at": null,
        "device_id": device.model_id,
        "inserted_at": paired,
        "last_seen_at": seen,
        "last_known_firmware_version": device.firmware,
        "name": name,
        "project_id": device.project_id,
        "project": { "_type": "project", "id": device.project_id, "name": device.project },
        "updated_at": seen,
        "status": status,
        "timezone": "America/New_York",
        "authorization": {
            "_type": "project_device_authorization",
            "creator": { "_type": "user", "id": creator, "name": "Robin Canary-Person" },
            "creator_id": creator,
            "expires_at": device.ends.map(timestamp),
            "inserted_at": paired,
            "project_device_id": device.id,
            "scopes": { "account_read": false, "asset_create": true, "offline": true },
        },
        "channels": [{
            "_type": "project_device_channel",
            "asset_type": "video",
            "external_index": 0,
            "name": name,
            "project_device_id": device.id,
            "project_id": device.project_id,
            "real_time_logging_capable": false,
            "status": status,
        }],
    })
}

/// RFC 3339 in UTC. The civil date comes from HTTP's own date format.
fn timestamp(at: SystemTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let http = httpdate::fmt_http_date(at); // "Sun, 06 Nov 1994 08:49:37 GMT"
    let month = MONTHS
        .iter()
        .position(|m| *m == &http[8..11])
        .map_or(0, |index| index + 1);
    format!("{}-{month:02}-{}T{}Z", &http[12..16], &http[5..7], &http[17..25])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(timestamp(at), "1994-11-06T08:49:37Z");
    }
}
