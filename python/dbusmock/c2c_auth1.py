"""c2c-authd as a python-dbusmock template, for the tests of a UI or an uploader:

    /usr/bin/python3 -m dbusmock --session --template python/dbusmock/c2c_auth1.py

A test drives it by methods of org.freedesktop.DBus.Mock on /org/cameratocloud/Auth1:

    SetState(state, reason)    PairingState and PairingReason, with their signals
    SetToken(generation)       a token of this generation, with AccessTokenChanged; 0: none, NotPaired
    SetError(name)             GetAccessToken and StartPairing end with this error; "": no more
    SetProject(id, name)       ProjectId and ProjectName
    SetPaused(paused, as-of)   Paused, and LastContact in seconds since 1970

It has no rules of its own: no state follows by itself, and no access is checked.
"""

import dbus
from dbusmock import MOCK_IFACE

BUS_NAME = "org.cameratocloud.Auth1"
MAIN_OBJ = "/org/cameratocloud/Auth1"
MAIN_IFACE = BUS_NAME + ".Pairing"
TOKENS, DEVICE = BUS_NAME + ".Tokens", BUS_NAME + ".Device"
SYSTEM_BUS = True


def load(mock, _parameters):
    mock.error, mock.generation = "", 0
    mock.AddProperties(MAIN_IFACE, {
        "PairingState": "unpaired", "PairingReason": "never-paired", "Paired": False, "AttentionNeeded": False,
    })
    mock.AddProperties(TOKENS, {"TokenState": "none", "Generation": dbus.UInt64(0)})
    texts = ("ClientId", "DeviceName", "ProjectId", "ProjectName", "FirmwareVersion", "DaemonVersion", "Provider")
    times = ("PairedSince", "TokenExpires", "RefreshBy", "AuthorizationExpires", "LastContact")
    mock.AddProperties(DEVICE, {
        **{name: "" for name in texts}, **{name: dbus.UInt64(0) for name in times}, "Paused": False,
        "LastError": dbus.Struct(("none", dbus.UInt64(0)), signature="st"),
    })
    for name in ("CancelPairing", "Unpair"):
        mock.AddMethod(MAIN_IFACE, name, "", "", "")
    mock.AddMethod(MAIN_IFACE, "CompletePairing", "s", "", "")
    mock.AddMethod(TOKENS, "RejectAccessToken", "t", "", "")
    # A proxy that is made from Introspect needs the signals there; dbusmock lists methods and properties only.
    for signal in (PairingStateChanged, AccessTokenChanged):
        mock.methods.setdefault(signal._dbus_interface, {})[signal.__name__] = ("", "", "", signal)


@dbus.service.signal(MAIN_IFACE, signature="ss")
def PairingStateChanged(self, state, reason):
    pass


@dbus.service.signal(TOKENS, signature="t")
def AccessTokenChanged(self, generation):
    pass


def _change(mock, interface, values):
    # UpdateProperties of dbusmock 0.28 knows no UInt64.
    mock.props[interface].update(values)
    changed = dbus.Dictionary(values, signature="sv")
    mock.EmitSignal(dbus.PROPERTIES_IFACE, "PropertiesChanged", "sa{sv}as", [interface, changed, dbus.Array([], signature="s")])


def _refuse(mock):
    if mock.error:
        raise dbus.exceptions.DBusException("refused by the mock", name=mock.error)


def _code():
    return dbus.Dictionary({
        "code-id": dbus.UInt64(1), "user-code": "123456", "verification-uri": "https://example.com/pair",
        "verification-uri-complete": "https://example.com/pair?code=123456", "device-name": "Mock camera",
        "expires-in": dbus.UInt32(120),
    }, signature="sv")


@dbus.service.method(MAIN_IFACE, in_signature="a{sv}", out_signature="a{sv}")
def StartPairing(self, _options):
    _refuse(self)
    self.SetState("awaiting-user", "none")
    return _code()


@dbus.service.method(MAIN_IFACE, in_signature="", out_signature="a{sv}")
def GetPairingCode(self):
    if self.props[MAIN_IFACE]["PairingState"] != "awaiting-user":
        raise dbus.exceptions.DBusException("no code", name=BUS_NAME + ".Error.NoPairing")
    return _code()


@dbus.service.method(MAIN_IFACE, in_signature="a{sv}", out_signature="say")
def GetQrCode(self, _options):
    return "image/svg+xml", dbus.ByteArray(b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'/>")


@dbus.service.method(TOKENS, in_signature="u", out_signature="sut")
def GetAccessToken(self, _min_validity):
    _refuse(self)
    if not self.generation:
        raise dbus.exceptions.DBusException("not paired", name=BUS_NAME + ".Error.NotPaired")
    return f"mock-token-{self.generation}", 28800, self.generation


@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def SetState(self, state, reason):
    paired = state == "paired"
    _change(self, MAIN_IFACE, {"PairingState": state, "PairingReason": reason, "Paired": paired})
    self.EmitSignal(MAIN_IFACE, "PairingStateChanged", "ss", [state, reason])


@dbus.service.method(MOCK_IFACE, in_signature="t", out_signature="")
def SetToken(self, generation):
    self.generation = generation
    state = "valid" if generation else "none"
    _change(self, TOKENS, {"TokenState": state, "Generation": dbus.UInt64(generation)})
    if generation:
        self.EmitSignal(TOKENS, "AccessTokenChanged", "t", [generation])


@dbus.service.method(MOCK_IFACE, in_signature="s", out_signature="")
def SetError(self, name):
    self.error = str(name)


@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def SetProject(self, project, name):
    _change(self, DEVICE, {"ProjectId": project, "ProjectName": name})


@dbus.service.method(MOCK_IFACE, in_signature="bt", out_signature="")
def SetPaused(self, paused, as_of):
    self.props[DEVICE]["LastContact"] = dbus.UInt64(as_of)
    _change(self, DEVICE, {"Paused": dbus.Boolean(paused)})
