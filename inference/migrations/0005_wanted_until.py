"""How long what environment variables describe is wanted; kinds of engines are called as those of providers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inference", "0004_learned_from")]

    operations = [
        migrations.AddField(
            model_name="provider",
            name="wanted_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="engine",
            name="kind",
            field=models.CharField(
                choices=[
                    ("vllm", "vLLM, supervised here"),
                    ("openai_compatible", "OpenAI-compatible server"),
                    ("openai", "OpenAI"),
                    ("anthropic", "Anthropic"),
                    ("ollama", "Ollama"),
                ],
                max_length=32,
            ),
        ),
    ]
