"""Places where files come and go: folders of this machine and of SFTP servers."""
