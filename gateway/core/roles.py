"""What people may be, and what each may see of the record."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A role of a key, or of whoever a token names. Nobody has one unless it was given."""

    DEVELOPER = "developer"
    VIEWER = "viewer"
    COMPLIANCE = "compliance"
    INVESTIGATOR = "investigator"
    AUDITOR = "auditor"
    POLICY_AUTHOR = "policy_author"
    POLICY_APPROVER = "policy_approver"
    REVIEWER = "reviewer"
    FINANCE = "finance"
    KEY_ADMIN = "key_admin"
    ADMIN = "admin"
    ENGINE = "engine"  # an OPA server, which fetches the rules


SEES_TEAM = frozenset({Role.DEVELOPER, Role.VIEWER})
"""Who sees the metadata of their own team's exchanges."""
SEES_ALL = frozenset({Role.COMPLIANCE, Role.AUDITOR, Role.INVESTIGATOR})
"""Who sees the metadata of every exchange of their organisation."""
SEES_MASKED = frozenset({Role.COMPLIANCE, Role.INVESTIGATOR})
"""Who sees what was said without personal data, with a reason."""
SEES_CONTENT = frozenset({Role.INVESTIGATOR})
"""Who sees what was said, in clear, with a reason."""
