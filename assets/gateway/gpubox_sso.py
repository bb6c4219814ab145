"""Who may use LiteLLM's UI, once the provider of single sign-on has said who they are. LiteLLM's `custom_sso`.

LiteLLM itself lets in everybody whom the provider knows, and with ALLOWED_EMAIL_DOMAINS also those who have no address. Here a
person has to be in the database, where `up` puts those of the config, or has to be one of the newcomers.

sso.json beside it: {"url": where the provider sends people back, "newcomers": null or {"domains", "role", "budget", "duration"}}.
"""
import json
from pathlib import Path

from fastapi import HTTPException
from litellm.proxy import proxy_server
from litellm.proxy.management_endpoints.ui_sso import SSOAuthenticationHandler

SETTINGS = json.loads(Path(__file__).with_name("sso.json").read_text())
NEWCOMERS = SETTINGS["newcomers"]


def callback(request, sso_callback_route, existing_key=None):
    return f"{SETTINGS['url']}/{sso_callback_route}"


# PROXY_BASE_URL would do it too, and bind every link of the UI to that address: no login through a tunnel any more.
SSOAuthenticationHandler.get_redirect_url_for_sso = staticmethod(callback)


async def admit(person):
    """What LiteLLM is to know of a person who signs in: nothing new of somebody whom it knows.

    Raises 401 for everybody else."""
    email = (person.email or "").lower()
    if not person.id or not email:
        raise refused("The provider names no `sub` or no `email`. Ask for the scopes openid and email.")
    if (person.extra_fields or {}).get("email_verified") not in (None, True, "true"):
        raise refused(f"The provider has not verified {email}.")
    values = {"models": [], "user_id": person.id, "user_email": email, "user_role": None}
    if await known(person.id, email):
        return {**values, "max_budget": None, "budget_duration": None}
    if NEWCOMERS and email.rpartition("@")[2] in NEWCOMERS["domains"]:
        return {
            **values,
            "user_role": NEWCOMERS["role"],
            "max_budget": NEWCOMERS["budget"],
            "budget_duration": NEWCOMERS["duration"],
        }
    raise refused(f"Nobody has declared {email} here. Ask who runs this box.")


async def known(subject, email):
    users = proxy_server.prisma_client.db.litellm_usertable
    either = [{"sso_user_id": subject}, {"user_email": {"equals": email, "mode": "insensitive"}}]
    return await users.find_first(where={"OR": either})


def refused(why):
    return HTTPException(status_code=401, detail={"error": why})
