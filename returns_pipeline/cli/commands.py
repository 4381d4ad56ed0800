"""The app with every command: one module a command group."""

import typer

from returns_pipeline.cli import (
    access,
    audit,
    backup,
    catalogue,
    collect,
    data,
    db,
    demo,
    doctor,
    evaluate,
    evaluate_csv,
    events,
    feed,
    images,
    models,
    notify,
    plan,
    processes,
    recommendations,
    requests,
    retention,
    returns,
    runs,
    status,
    train_fashion_mnist,
    web,
)

app = typer.Typer(
    help="Classifies the photos of returned items: from an intake folder to a report, without losing any.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("up")(processes.up)
app.add_typer(db.app, name="db")
app.command("scan")(requests.scan)
app.command("classify")(requests.classify)
app.add_typer(runs.app, name="runs")
app.add_typer(images.app, name="images")
app.command("retry")(requests.retry)
app.command("retention")(retention.retention)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("plan")(plan.plan)
app.command("collect")(collect.collect)
app.add_typer(feed.app, name="feed")
app.add_typer(train_fashion_mnist.app, name="train")
app.command("evaluate")(evaluate.evaluate)
app.command("accuracy")(evaluate_csv.accuracy)
app.add_typer(returns.app, name="returns")
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(events.app, name="events")
app.add_typer(recommendations.app, name="recommendations")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.add_typer(notify.app, name="notify")
app.command("web")(web.web)
app.add_typer(access.users_app, name="users")
app.add_typer(access.tokens_app, name="tokens")
app.add_typer(audit.app, name="audit")
for command in (processes.worker, processes.beat, processes.flower):
    app.command(context_settings=processes.PASS_ON)(command)
