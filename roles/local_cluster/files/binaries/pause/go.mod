module servicemesh.platform/local/pause

go 1.24
