from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('django_taskstore', '0003_dashboard'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='queuedtask',
            options={'ordering': ['-id'], 'permissions': [('requeue_queuedtask', 'Can requeue a task as a new one'), ('restart_queuedtask', 'Can restart a finished task'), ('cancel_queuedtask', 'Can cancel a task'), ('pause_queuedtask', 'Can pause and resume a task'), ('enqueue_queuedtask', 'Can enqueue a task'), ('view_payload_queuedtask', 'Can see hidden values of a task'), ('export_queuedtask', 'Can export tasks')], 'verbose_name': 'queued task', 'verbose_name_plural': 'queued tasks'},
        ),
    ]
