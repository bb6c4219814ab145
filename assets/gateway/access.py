#!/usr/bin/env python3
"""Make LiteLLM's database hold the declared teams, people and virtual keys. Runs inside a gateway's container:

    docker exec -i GATEWAY python3 /etc/gpubox/access.py [--deadline SECONDS] < desired.json

Standard input: {"stack", "teams": [{"name", "id", "fields"}], "users"?: [{"name", "id", "teams", "fields"}],
"keys": [{"name", "key", "expires"?, "fields"}]}, fields as LiteLLM names them. What this script makes carries the stack's name in its metadata; it touches nothing else. What is as it
should be is left alone, so that no budget begins anew.

The order keeps every key working while it is to work: names are freed, then new keys are made, then changed ones, and only
then are keys deleted, then people, teams last. A call that fails is reported by name and the others go on. One that failed for the
gateway's sake is tried once more; the next run tries the rest again. A key that was replaced stays until its successor is there.

Prints one line per change. Exits with 1 when a call failed. No key is ever printed.
"""
import argparse
import datetime
import hashlib
import json
import sys
import time

from people import People
from prove import Failed, Gateway, master_key
from records import Records, changes, given, mark

# Until what failed for the gateway's sake is tried once more.
SETTLE_SECONDS = 2


def digest(key):
    """How LiteLLM stores a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def moment(text):
    """A time as LiteLLM or the config writes it; without a zone it is UTC."""
    if not text:
        return None
    found = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)


class Access(Records):
    def __init__(self, gateway, desired):
        super().__init__(gateway, desired["stack"], [key["key"] for key in desired["keys"]])
        self.teams = desired["teams"]
        self.people = People(self, desired.get("users", []), {team["id"]: team["name"] for team in self.teams})
        self.own_keys = [{**key, "hash": digest(key["key"])} for key in desired["keys"]]

    def converge(self):
        teams = {team["team_id"]: team for team in self.listed("/team/list")}
        keys = {key["token"]: key for key in self.keys()}
        users = self.people.found()
        self.make_teams(teams)
        self.people.make(users)
        self.people.join(users, teams)
        self.free_names(keys)
        self.make_keys(keys)
        self.change_keys(keys)
        self.delete_keys(keys)
        self.people.leave(users, teams)
        self.people.delete(users)
        self.delete_teams(teams)

    def make_teams(self, teams):
        for team in self.teams:
            found = teams.get(team["id"])
            if found is None:
                body = {"team_id": team["id"], "metadata": {"gpubox": {"stack": self.stack}}, **given(team["fields"])}
                self.call(f"made the team {team['name']}", "POST", "/team/new", body)
            elif not self.is_own(found):
                self.failures.append(f"the team {team['name']}: {team['id']} exists and was not made from this config")
            elif changed := changes(team["fields"], found):
                body = {"team_id": team["id"], **changed}
                self.call(f"changed the team {team['name']} ({', '.join(changed)})", "POST", "/team/update", body)

    def free_names(self, keys):
        """Aliases are unique: one that another key is to have is taken from the key that has it."""
        wanted = {key["hash"]: key["fields"]["key_alias"] for key in self.own_keys}
        taken = set(wanted.values())
        for token, found in keys.items():
            alias = found.get("key_alias")
            if self.is_own(found) and alias in taken and wanted.get(token) != alias:
                # An own key that is to have another name gets it with its other changes.
                free = f"{alias} ({token[:8]})"
                body = {"key": token, "key_alias": free}
                if self.call(f"renamed the key {alias} of before", "POST", "/key/update", body):
                    found["key_alias"] = free

    def make_keys(self, keys):
        for key in self.own_keys:
            alias = key["fields"]["key_alias"]
            if key["hash"] in keys:
                if not self.is_own(keys[key["hash"]]):
                    self.failures.append(f"the key {alias}: its value is that of a key that was not made from this config")
                continue
            fields = given(key["fields"])
            left = seconds_left(key)
            if left is not None:
                if left <= 0:
                    print(f"did not make the key {alias}: it has expired", flush=True)
                    continue
                fields["duration"] = f"{left}s"
            body = {
                "key": key["key"],
                "metadata": {"gpubox": {"stack": self.stack, "key": key["name"]}},
                **fields,
            }
            # A rotation does not refill a budget.
            spent = [k.get("spend") or 0 for k in keys.values() if self.is_own(k) and mark(k).get("key") == key["name"]]
            if spent and "max_budget" in fields:
                body["spend"] = max(spent)
            self.call(f"made the key {alias}", "POST", "/key/generate", body)

    def change_keys(self, keys):
        for key in self.own_keys:
            found = keys.get(key["hash"])
            if found is None or not self.is_own(found):
                continue
            changed = changes(key["fields"], found)
            wanted, is_now = moment(key.get("expires")), moment(found.get("expires"))
            left = seconds_left(key)
            # LiteLLM counts from the second in which it is asked.
            if (wanted is None) != (is_now is None) or (wanted and abs((wanted - is_now).total_seconds()) > 60):
                # A moment that has passed already cannot be written as a duration; the shortest one has the same effect.
                changed["duration"] = "-1" if left is None else f"{max(left, 1)}s"
            if changed:
                said = ", ".join("expires" if name == "duration" else name for name in changed)
                what = f"changed the key {key['fields']['key_alias']} ({said})"
                self.call(what, "POST", "/key/update", {"key": key["hash"], **changed})

    def delete_keys(self, keys):
        wanted = {key["hash"] for key in self.own_keys}
        for token, found in keys.items():
            if token in wanted or not self.is_own(found):
                continue
            successor = [f for f in self.failures if f.startswith(f"made the key {mark(found).get('key')}:")]
            if successor:
                print(f"kept the key {found.get('key_alias')}: its successor was not made", flush=True)
                continue
            self.delete_key(token, found.get("key_alias"))

    def delete_key(self, token, alias):
        self.end_key(token, alias)
        self.call(f"deleted the key {alias}", "POST", "/key/delete", {"keys": [token]})

    def delete_teams(self, teams):
        wanted = {team["id"] for team in self.teams}
        for team_id, found in teams.items():
            if team_id in wanted or not self.is_own(found):
                continue
            # LiteLLM deletes a team's keys with it.
            left = [key.get("key_alias") or key["token"][:8] for key in self.keys(team_id=team_id)]
            name = found.get("team_alias") or team_id
            if left:
                self.failures.append(f"the team {name} stays: keys belong to it that would be deleted too: {', '.join(left)}")
                continue
            self.call(f"deleted the team {name}", "POST", "/team/delete", {"team_ids": [team_id]})


def seconds_left(key):
    """Seconds until a key expires; None where it never does."""
    at = moment(key.get("expires"))
    if at is None:
        return None
    return int((at - datetime.datetime.now(datetime.timezone.utc)).total_seconds())


def main():
    parser = argparse.ArgumentParser(description="Make LiteLLM's database hold the declared teams, people and keys.")
    parser.add_argument("--deadline", type=float, default=120, metavar="SECONDS", help="for all calls (default: 120)")
    seconds = parser.parse_args().deadline
    try:
        gateway, desired = Gateway(master_key(), seconds), json.loads(sys.stdin.readline())
        access = Access(gateway, desired)
        access.converge()
        if access.unsettled:
            # A gateway whose database was away a moment ago loses a transaction of before. What is there is read anew.
            time.sleep(SETTLE_SECONDS)
            access = Access(gateway, desired)
            access.converge()
    except Failed as failure:
        sys.exit(str(failure)[:600])
    if access.failures:
        failed = "".join(f"\n  {failure}" for failure in access.failures)
        sys.exit(f"Not all teams, people and keys are as declared; the next `up` tries again:{failed}")


if __name__ == "__main__":
    main()
