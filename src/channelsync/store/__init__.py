"""The database: tables, migrations, locks, queries; SQLModel appears nowhere else."""
