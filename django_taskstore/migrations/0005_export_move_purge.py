from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('django_taskstore', '0004_worker_facts'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='queuedtask',
            options={'ordering': ['-id'], 'permissions': [('requeue_queuedtask', 'Can requeue a task as a new one'), ('restart_queuedtask', 'Can restart a finished task'), ('cancel_queuedtask', 'Can cancel a task'), ('pause_queuedtask', 'Can pause and resume a task'), ('enqueue_queuedtask', 'Can enqueue a task'), ('view_payload_queuedtask', 'Can see hidden values of a task'), ('export_queuedtask', 'Can export tasks'), ('purge_queuedtask', 'Can remove an ended task for good')], 'verbose_name': 'queued task', 'verbose_name_plural': 'queued tasks'},
        ),
        migrations.AlterField(
            model_name='bulkoperation',
            name='verb',
            field=models.CharField(choices=[('requeue', 'Requeue as new'), ('restart', 'Restart'), ('cancel', 'Cancel'), ('pause', 'Pause'), ('resume', 'Resume'), ('move', 'Change queue or priority'), ('delete', 'Delete'), ('restore', 'Restore'), ('purge', 'Purge')], max_length=16, verbose_name='action'),
        ),
    ]
