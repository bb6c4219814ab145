"""The declared people of a stack, and their places in its teams. access.py runs it."""
from records import PAGE, changes, given


class People:
    """People of LiteLLM's database that were made from this config; all others are left alone."""

    def __init__(self, records, people, teams):
        """`teams`: the declared ones, id to name."""
        self.records = records
        self.people = people
        self.teams = teams

    def found(self):
        listed = self.records.pages("/user/list", "users", page_size=PAGE)
        return {user["user_id"]: user for user in listed}

    def make(self, users):
        for person in self.people:
            found = users.get(person["id"])
            fields = person["fields"]
            # LiteLLM tells the other gateways of a changed person where the metadata come along.
            body = {"user_id": person["id"], "metadata": {"gpubox": {"stack": self.records.stack}}}
            if found is None:
                body = {**body, "auto_create_key": False, **given(fields)}
                self.records.call(f"made the person {person['name']}", "POST", "/user/new", body)
            elif not self.records.is_own(found):
                what = f"the person {person['name']}: {person['id']} exists and was not made from this config"
                self.records.failures.append(what)
            elif changed := changes(fields, found):
                what = f"changed the person {person['name']} ({', '.join(changed)})"
                self.records.call(what, "POST", "/user/update", {**body, **changed})

    def join(self, users, teams):
        """Puts people into the teams that they are declared for."""
        for person in self.own(users):
            for team_id in person["teams"]:
                if self.is_others(teams, team_id) or person["id"] in members(teams.get(team_id)):
                    continue
                body = {"team_id": team_id, "member": {"role": "user", "user_id": person["id"]}}
                what = f"put {person['name']} into the team {self.teams[team_id]}"
                self.records.call(what, "POST", "/team/member_add", body)

    def leave(self, users, teams):
        """Takes people out of declared teams that they are not declared for. LiteLLM deletes the keys that they made there."""
        for person in self.own(users):
            for team_id, name in self.teams.items():
                if team_id in person["teams"] or person["id"] not in members(teams.get(team_id)):
                    continue
                self.end_keys(person["id"], team_id=team_id)
                what = f"took {person['name']} out of the team {name}"
                self.records.call(what, "POST", "/team/member_delete", {"team_id": team_id, "user_id": person["id"]})

    def delete(self, users):
        wanted = {person["id"] for person in self.people}
        for user_id, found in users.items():
            if user_id in wanted or not self.records.is_own(found):
                continue
            # LiteLLM deletes a person's keys with them.
            self.end_keys(user_id)
            what = f"deleted the person {found.get('user_alias') or user_id}"
            self.records.call(what, "POST", "/user/delete", {"user_ids": [user_id]})

    def end_keys(self, user_id, **which):
        for key in list(self.records.keys(user_id=user_id, **which)):
            self.records.end_key(key["token"], key.get("key_alias") or key["token"][:8])

    def own(self, users):
        return [person for person in self.people if not self.is_others(users, person["id"])]

    def is_others(self, records, record_id):
        return record_id in records and not self.records.is_own(records[record_id])


def members(team):
    return {member.get("user_id") for member in (team or {}).get("members_with_roles") or []}
