"""The suites of isolation, of the front door and of a whole DM, once more: on the second server.

One test of isolation is not among them: it reads the rows as a superuser, whom a host does not give.
"""

from tests.app.conversations.test_answering import (
    shop,
    test_a_question_is_answered_from_the_knowledge,
    test_a_webhook_that_comes_twice_is_answered_once,
    test_what_is_not_known_goes_to_a_person_with_the_template,
)
from tests.app.test_isolation import (
    test_a_ciphertext_copied_to_another_row_does_not_open,
    test_a_pooled_connection_keeps_no_tenant,
    test_a_query_that_forgets_the_tenant_sees_only_its_own_rows,
    test_a_row_cannot_be_written_for_another_tenant,
    test_a_tenant_table_without_a_policy_would_be_noticed,
    test_a_tenant_that_does_not_exist_is_not_found,
    test_every_tenant_table_forces_row_level_security,
    test_the_backup_role_cannot_read_keys,
    test_the_service_role_has_no_way_around,
)
from tests.app.test_robustness import (
    test_agents_changed_and_deleted_at_once,
    test_uploads_and_deletions_of_one_name_at_once,
)
from tests.app.webhooks.test_webhooks import (
    connection,
    test_a_signed_body_that_is_no_event_is_acknowledged_and_not_stored,
    test_a_webhook_that_there_is_not_is_not_found,
    test_a_wrong_signature_is_refused_and_nothing_is_stored,
    test_the_raw_body_is_dropped_once_it_was_handled,
    test_what_comes_for_a_connection_that_is_gone_is_acknowledged_and_not_stored,
)

__all__ = [
    "connection",
    "shop",
    "test_a_ciphertext_copied_to_another_row_does_not_open",
    "test_a_pooled_connection_keeps_no_tenant",
    "test_a_query_that_forgets_the_tenant_sees_only_its_own_rows",
    "test_a_question_is_answered_from_the_knowledge",
    "test_a_row_cannot_be_written_for_another_tenant",
    "test_a_signed_body_that_is_no_event_is_acknowledged_and_not_stored",
    "test_a_tenant_table_without_a_policy_would_be_noticed",
    "test_a_tenant_that_does_not_exist_is_not_found",
    "test_a_webhook_that_comes_twice_is_answered_once",
    "test_a_webhook_that_there_is_not_is_not_found",
    "test_a_wrong_signature_is_refused_and_nothing_is_stored",
    "test_agents_changed_and_deleted_at_once",
    "test_every_tenant_table_forces_row_level_security",
    "test_the_backup_role_cannot_read_keys",
    "test_the_raw_body_is_dropped_once_it_was_handled",
    "test_the_service_role_has_no_way_around",
    "test_uploads_and_deletions_of_one_name_at_once",
    "test_what_comes_for_a_connection_that_is_gone_is_acknowledged_and_not_stored",
    "test_what_is_not_known_goes_to_a_person_with_the_template",
]
