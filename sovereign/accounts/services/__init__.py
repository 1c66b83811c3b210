"""Every change to accounts. ``principal=None`` is the operator (commands, migrations of old data)."""

from sovereign.accounts.services.idempotency import forget_answers
from sovereign.accounts.services.invitations import (
    accept_invitation,
    find_invitation,
    invite,
    register_invited,
    revoke_invitation,
)
from sovereign.accounts.services.keys import create_api_key, revoke_api_key
from sovereign.accounts.services.limits import set_key_limits, set_project_limits
from sovereign.accounts.services.memberships import add_member, member_named, remove_member, set_role
from sovereign.accounts.services.people import (
    register_person,
    save_profile,
    save_user,
    set_password,
    verify_email,
    vouch_for_email,
)
from sovereign.accounts.services.projects import (
    allow_shared_links,
    archive_project,
    create_project,
    rename_project,
    restore_project,
)
from sovereign.accounts.services.rotation import end_old_secrets, is_known, rotate_api_key
from sovereign.accounts.services.saved_filters import delete_filter, save_filter
from sovereign.accounts.services.tickets import issue_ticket, redeem_ticket

__all__ = [
    "accept_invitation",
    "add_member",
    "allow_shared_links",
    "archive_project",
    "create_api_key",
    "create_project",
    "delete_filter",
    "end_old_secrets",
    "find_invitation",
    "forget_answers",
    "invite",
    "is_known",
    "issue_ticket",
    "member_named",
    "redeem_ticket",
    "register_invited",
    "register_person",
    "remove_member",
    "rename_project",
    "restore_project",
    "revoke_api_key",
    "revoke_invitation",
    "rotate_api_key",
    "save_filter",
    "save_profile",
    "save_user",
    "set_key_limits",
    "set_password",
    "set_project_limits",
    "set_role",
    "verify_email",
    "vouch_for_email",
]
