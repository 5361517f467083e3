# django-oauth-toolkit, with one client of the device grant. A person needs no browser here: a command approves.
#
# Arguments and commands as in common.mjs, a grace for used refresh tokens in the environment (GRACE, seconds), and two more commands:
#   approve CODE     a person approves a user code
#   lose             the answer to the next refresh that is carried out is cut off
# Must never: know anything of the daemon. What it refuses is for the test to judge.

import io
import json
import os
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import django
from django.conf import settings

directory = sys.argv[1]
lock = threading.Lock()
state = {"requests": 0, "refused": [], "lose": False}


def say(entry):
    with lock:
        print(json.dumps(entry), flush=True)


settings.configure(
    SECRET_KEY="made up for the trial",
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{directory}/db", "OPTIONS": {"timeout": 30}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    LOGGING_CONFIG=None,
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": 8,
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": int(os.environ["GRACE"]),
        "OAUTH_DEVICE_VERIFICATION_URI": "https://127.0.0.1/device",
        "SCOPES": {"offline_access": "made up"},
        "DEVICE_FLOW_INTERVAL": 1,
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import AccessToken, Application, DeviceGrant, RefreshToken  # noqa: E402

call_command("migrate", verbosity=0)
user = User.objects.create_user("somebody")
Application.objects.create(
    client_id="device-public", client_type="public", user=user,
    authorization_grant_type="urn:ietf:params:oauth:grant-type:device_code",
)


def description(_request):
    return JsonResponse({
        "issuer": issuer,
        "token_endpoint": f"{issuer}/o/token/",
        "device_authorization_endpoint": f"{issuer}/o/device-authorization/",
        "revocation_endpoint": f"{issuer}/o/revoke_token/",
    })


urlpatterns = [
    path(".well-known/openid-configuration", description),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]
application = get_wsgi_application()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        place, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command, "PATH_INFO": place, "QUERY_STRING": query, "SCRIPT_NAME": "",
            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(self.server.server_port), "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": self.headers.get("content-type", ""), "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "https",
            "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
        }
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        told = {}

        def start(status, headers):
            told.update(status=int(status.split(" ")[0]), headers=headers)

        parts = application(environ, start)
        text = b"".join(parts)
        if hasattr(parts, "close"):
            parts.close()
        self.count(place, body, told["status"], text)
        if state["lose"] and told["status"] == 200 and b"grant_type=refresh_token" in body:
            state["lose"] = False
            self.close_connection = True
            return
        self.send_response(told["status"])
        for name, value in told["headers"]:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def count(self, place, _body, status, text):
        error = None
        if status >= 400:
            try:
                error = json.loads(text).get("error", str(status))
            except ValueError:
                error = f"{self.command} {place}: {status}"
        say({"method": self.command, "path": place, "status": status, "error": error})
        state["requests"] += 1
        # The device grant's way to say "not yet".
        if error and error != "authorization_pending":
            state["refused"].append(error)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that leaves is no fault."""


server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{directory}/cert.pem", f"{directory}/key.pem")
# The handshake belongs to the thread of its connection.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
issuer = f"https://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()
say({"issuer": issuer, "secret": "not needed", "redirect": "http://127.0.0.1/callback"})


def whoami(token):
    found = AccessToken.objects.filter(token=token).first()
    return {"status": 200 if found and found.is_valid() else 401}


def tokens(client):
    all_of = RefreshToken.objects.filter(application__client_id=client)
    live = all_of.filter(revoked__isnull=True).count()
    return {"live": live, "spent": all_of.count() - live}


def approve(code):
    grant = DeviceGrant.objects.get(user_code=code)
    grant.status, grant.user = grant.AUTHORIZED, user
    grant.save(update_fields=["status", "user"])
    return {}


def lose(_):
    state["lose"] = True
    return {}


commands = {
    "whoami": whoami, "tokens": tokens, "approve": approve, "lose": lose,
    "refused": lambda _: {"requests": state["requests"], "refused": state["refused"]},
}
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    say({"control": command, **commands[command](argument)})
