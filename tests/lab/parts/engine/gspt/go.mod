module github.com/erikdubbelboer/gspt

go 1.26
