"""Every change to accounts. ``principal=None`` is the operator (commands, migrations of old data)."""

from sovereign.accounts.services.idempotency import forget_answers
from sovereign.accounts.services.keys import create_api_key, revoke_api_key
from sovereign.accounts.services.limits import set_key_limits, set_project_limits
from sovereign.accounts.services.memberships import add_member, member_named, remove_member, set_role
from sovereign.accounts.services.people import save_user, set_password
from sovereign.accounts.services.projects import archive_project, create_project, rename_project, restore_project
from sovereign.accounts.services.tickets import issue_ticket, redeem_ticket

__all__ = [
    "add_member",
    "archive_project",
    "create_api_key",
    "create_project",
    "forget_answers",
    "issue_ticket",
    "member_named",
    "redeem_ticket",
    "remove_member",
    "rename_project",
    "restore_project",
    "revoke_api_key",
    "save_user",
    "set_key_limits",
    "set_password",
    "set_project_limits",
    "set_role",
]
