package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// paging is one page of a longer list.
type paging struct {
	Page, Pages int // from 1
	Found       int // that fit what is asked for
	First, Last int // of those, from 1
}

// pageAsked is the page that is asked for, 1 where none is.
func pageAsked(r *http.Request) int {
	const most = 1 << 20
	page, _ := strconv.Atoi(r.FormValue("page")) // 0 for what is no number
	return min(max(page, 1), most)
}

// turn goes to a page of so many, or to the last there is.
func turn(page, per, found int) paging {
	pages := max(1, (found+per-1)/per)
	page = min(page, pages)
	return paging{page, pages, found, (page-1)*per + 1, min(page*per, found)}
}

// Previous is the page before, 0 for none.
func (p paging) Previous() int { return p.Page - 1 }

// Next is the page after, 0 for none.
func (p paging) Next() int {
	if p.Page == p.Pages {
		return 0
	}
	return p.Page + 1
}

// asking is the query of a list with one thing changed.
func asking(asked map[string]string, name string, value any) string {
	q := url.Values{}
	for key, has := range asked {
		if has != "" && key != name {
			q.Set(key, has)
		}
	}
	if text := fmt.Sprint(value); text != "" {
		q.Set(name, text)
	}
	return "?" + q.Encode()
}
