"""``python -m tests.support.embedded ORIGIN…``: the guide is deployed, and may be shown by these sites.

With a public key in their place, that one is revoked.
"""

from __future__ import annotations

import sys

import django


def main(origins: list[str]) -> None:
    from assistants.embeds.models import EmbedKey
    from assistants.embeds.services import create_embed, revoke_embed
    from assistants.models import Assistant, Deployment
    from assistants.services import versions
    from sovereign.accounts.credentials import principal_of_membership
    from sovereign.accounts.models import Membership
    from sovereign.accounts.scopes import Role

    guide = Assistant.objects.get(name="Sovereign guide")
    owner = Membership.objects.filter(project=guide.project, role=Role.OWNER).select_related("user").first()
    assert owner is not None
    principal = principal_of_membership(owner)
    if origins[0].startswith("pk-"):
        revoke_embed(principal=principal, embed=EmbedKey.objects.get(public_key=origins[0]))
        return
    if not Deployment.objects.in_service(guide.pk, "staging").exists():
        version = versions.publish(principal=principal, assistant_id=guide.pk)
        Deployment.objects.create(
            project=guide.project, assistant=guide, version=version, environment="staging", status="active"
        )
    embed = create_embed(
        principal=principal,
        assistant=guide,
        environment="staging",
        name="A site",
        origins=origins,
        allows_anonymous=True,
    )
    sys.stdout.write(f"{embed.public_key}\n")


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1:])
