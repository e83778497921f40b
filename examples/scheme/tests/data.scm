; Numbers
(check "arithmetic" (list (+) (+ 1 2 3) (- 5) (- 5 1 1) (*) (* 2 3 4) (/ 6 3) (/ 1 4)) '(0 6 -5 3 1 24 2 0.25))
(check "quotient and its kin" (list (quotient -7 2) (remainder -7 2) (modulo -7 2) (modulo 7 -2)) '(-3 -1 1 -1))
(check "too large for a fixnum" (> (* 4611686018427387903 2) 4611686018427387903) #t)
(check "largest fixnum" (- (+ 4611686018427387903 0) 4611686018427387902) 1)
(check "comparison of many" (list (< 1 2 3) (< 1 3 2) (= 2 2.0) (>= 3 3 1)) '(#t #f #t #t))
(check "eqv? on flonums" (list (eqv? 1.5 1.5) (eqv? 1 1.0)) '(#t #f))
(check "text of numbers" (list (text 0.1) (text 100000.0) (text -17) (text 1e100)) '("0.1" "100000." "-17" "1e+100"))
(check "numbers from text" (list (string->number "42") (string->number "-1.5e3") (string->number "4x") (string->number "-")) '(42 -1500.0 #f #f))
(check "sqrt and floor" (list (sqrt 16) (floor 2.7) (floor -2.5)) '(4.0 2 -3))
(check-error "division by zero" (lambda () (quotient 1 0)) "division by zero")
(check-error "not a number" (lambda () (+ 1 'a)) "a number is wanted")

; Strings, characters, symbols
(check "string-append" (string-append "ab" "" "cd") "abcd")
(check "substring" (list (substring "hello" 1 3) (substring "hello" 2) (substring "hello" 5)) '("el" "llo" ""))
(check "string order" (list (string<? "abc" "abd") (string<? "ab" "abc") (string<? "b" "abc")) '(#t #t #f))
(check "string-set!" (let ((s (make-string 3 #\a))) (string-set! s 1 #\b) s) "aba")
(check "list->string" (list->string (reverse (string->list "abc"))) "cba")
(check "escapes" (string-length "a\"b\\c\n") 6)
(check "characters" (list (char->integer #\A) (integer->char 97) (char->integer #\space) (char->integer #\()) (list 65 #\a 32 40))
(check "symbols" (list (string->symbol "abc") (symbol->string 'xyz) (eq? 'a (string->symbol "a"))) '(abc "xyz" #t))
(check "text" (text (list 1 "two" #\3 'four (vector 5) #t '())) "(1 two 3 four #(5) #t ())")
(check-error "string-ref beyond the end" (lambda () (string-ref "abc" 3)) "index out of range")

(define (repeat s n) (if (= n 0) "" (string-append s (repeat s (- n 1)))))
(check "strings of every length"
       (let loop ((n 0))
         (cond ((> n 400) 'good)
               ((= (string-length (repeat "x" n)) n) (loop (+ n 7)))
               (else n)))
       'good)

; A large string and a large vector are runs of spans of their own.
(define large (make-string 3000000 #\q))
(check "large string" (list (string-length large) (string-ref large 2999999)) (list 3000000 #\q))
(define big (make-vector 300000 'e))
(vector-set! big 299999 (list 'last))
(gc)
(check "large vector keeps what it holds" (list (vector-ref big 0) (vector-ref big 299999)) '(e (last)))

; Vectors
(check "vector" (vector-ref (vector 1 2 3) 1) 2)
(check "vector->list and back" (list->vector (vector->list #(1 2 3))) #(1 2 3))
(check "vector-fill!" (let ((v (make-vector 3))) (vector-fill! v 'x) v) #(x x x))
(check-error "vector-set! beyond the end" (lambda () (vector-set! (make-vector 2) 2 0)) "index out of range")
(check-error "vector-ref before the beginning" (lambda () (vector-ref (make-vector 2) -1)) "index out of range")

; Tables
(define table (make-table))
(for-each (lambda (i) (table-set! table i (* i i))) (iota 1000))
(check "table-ref" (list (table-ref table 31) (table-ref table 1000) (table-ref table 1000 'none)) '(961 #f none))
(for-each (lambda (i) (when (odd? i) (table-delete! table i))) (iota 1000))
(check "table-count" (table-count table) 500)
(check "table-keys" (sort (table-keys table) <) (filter even? (iota 1000)))
(check "flonums as keys" (begin (table-set! table 1.5 'f) (table-ref table (+ 1 0.5))) 'f)
(check "a table of much coming and going stays small"
       (let ((t (make-table)))
         (for-each (lambda (i) (table-set! t i i) (table-delete! t i)) (iota 20000))
         (table-count t))
       0)
(summary)
