"""What Alembic runs: the steps, on the connection that `migrate` opened."""

from alembic import context

from gateway.adapters.store.schema import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
