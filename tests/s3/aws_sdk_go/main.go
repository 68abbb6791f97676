// What oscar-cli's library sends, one operation an argument, against the store that the environment names:
// ENDPOINT, ACCESS_KEY, SECRET_KEY, BUCKET. It ends with 1 and says why at the first answer that is not as expected.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/s3"
	"github.com/aws/aws-sdk-go/service/s3/s3manager"
)

const (
	limit    = 60 * time.Second
	partSize = s3manager.MinUploadPartSize
)

var operations = map[string]func(context.Context, *s3.S3, string) error{
	"put":       put,
	"multipart": multipart,
	"odd-keys":  oddKeys,
	"list":      list,
	"list-v2":   listV2,
	"presign":   presign,
	"copy":      copyObject,
	"delete":    deleteObjects,
	"errors":    refusals,
	"bucket":    buckets,
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	client := s3.New(session.Must(session.NewSession(&aws.Config{
		Endpoint:         aws.String(os.Getenv("ENDPOINT")),
		Region:           aws.String("us-east-1"),
		Credentials:      credentials.NewStaticCredentials(os.Getenv("ACCESS_KEY"), os.Getenv("SECRET_KEY"), ""),
		S3ForcePathStyle: aws.Bool(true),
		MaxRetries:       aws.Int(0),
	})))
	for _, name := range os.Args[1:] {
		operation, known := operations[name]
		if !known {
			fail(name, errors.New("no such operation"))
		}
		if err := operation(ctx, client, os.Getenv("BUCKET")); err != nil {
			fail(name, err)
		}
	}
}

func fail(name string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(1)
}

func put(ctx context.Context, client *s3.S3, bucket string) error {
	_, err := client.PutObjectWithContext(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: aws.String("k"), Body: strings.NewReader("hello"),
		ContentType: aws.String("text/plain"), Metadata: map[string]*string{"Colour": aws.String("blue")},
	})
	if err != nil {
		return err
	}
	head, err := client.HeadObjectWithContext(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("k")})
	if err != nil {
		return err
	}
	if *head.ContentLength != 5 || *head.ContentType != "text/plain" || *head.Metadata["Colour"] != "blue" {
		return fmt.Errorf("its description is %v", head)
	}
	return has(ctx, client, bucket, "k", "hello")
}

// As oscar-cli's put-file and get-file: five parts at once, in both directions.
func multipart(ctx context.Context, client *s3.S3, bucket string) error {
	content := make([]byte, 3*partSize+4711)
	rand.New(rand.NewSource(1)).Read(content)
	uploader := s3manager.NewUploaderWithClient(client, func(u *s3manager.Uploader) { u.Concurrency = 5 })
	_, err := uploader.UploadWithContext(ctx, &s3manager.UploadInput{
		// Without a length: it has to be sent in parts.
		Bucket: &bucket, Key: aws.String("big"), Body: io.MultiReader(bytes.NewReader(content)),
	})
	if err != nil {
		return err
	}
	down := aws.NewWriteAtBuffer(nil)
	downloader := s3manager.NewDownloaderWithClient(client, func(d *s3manager.Downloader) {
		d.Concurrency, d.PartSize = 5, 1<<20
	})
	if _, err = downloader.DownloadWithContext(ctx, down, get(bucket, "big")); err != nil {
		return err
	}
	if !bytes.Equal(down.Bytes(), content) {
		return fmt.Errorf("other bytes came back, %d of them", len(down.Bytes()))
	}
	empty := aws.NewWriteAtBuffer(nil)
	if _, err = uploader.UploadWithContext(ctx, &s3manager.UploadInput{
		Bucket: &bucket, Key: aws.String("empty"), Body: strings.NewReader(""),
	}); err != nil {
		return err
	}
	// Its first range is of nothing: the library takes 416 for the end.
	if n, err := downloader.DownloadWithContext(ctx, empty, get(bucket, "empty")); err != nil || n != 0 {
		return fmt.Errorf("an empty file: %d bytes, %v", n, err)
	}
	return nil
}

// By default the library itself makes `a/b` of `a//b`.
func oddKeys(ctx context.Context, client *s3.S3, bucket string) error {
	asTheyAre := client.Config.Copy().WithDisableRestProtocolURICleaning(true)
	client = s3.New(session.Must(session.NewSession(asTheyAre)))
	keys := []string{"a//b", "a/../b", "with blank", "plus+plus", "é/日本", "100%25 & <more>?#", "~-._*'()", "./x"}
	for _, key := range keys {
		if err := write(ctx, client, bucket, key, key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	for _, key := range keys {
		if err := has(ctx, client, bucket, key, key); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	listed, err := client.ListObjectsV2WithContext(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		return err
	}
	return same(names(listed.Contents), keys)
}

func list(ctx context.Context, client *s3.S3, bucket string) error {
	keys, err := fill(ctx, client, bucket)
	if err != nil {
		return err
	}
	var found []string
	pages := 0
	err = client.ListObjectsPagesWithContext(ctx, &s3.ListObjectsInput{
		Bucket: &bucket, Prefix: aws.String("in/"), MaxKeys: aws.Int64(3),
	}, func(page *s3.ListObjectsOutput, _ bool) bool {
		pages++
		found = append(found, names(page.Contents)...)
		return true
	})
	if err != nil {
		return err
	}
	if pages != 3 {
		return fmt.Errorf("%d pages", pages)
	}
	return same(found, keys)
}

func listV2(ctx context.Context, client *s3.S3, bucket string) error {
	keys, err := fill(ctx, client, bucket)
	if err != nil {
		return err
	}
	var found, folders []string
	err = client.ListObjectsV2PagesWithContext(ctx, &s3.ListObjectsV2Input{
		Bucket: &bucket, Prefix: aws.String("in/"), MaxKeys: aws.Int64(3), EncodingType: aws.String("url"),
	}, func(page *s3.ListObjectsV2Output, _ bool) bool {
		for _, name := range names(page.Contents) {
			// The library leaves this to the caller.
			name, _ = url.QueryUnescape(name)
			found = append(found, name)
		}
		return true
	})
	if err != nil {
		return err
	}
	if err = same(found, keys); err != nil {
		return err
	}
	top, err := client.ListObjectsV2WithContext(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Delimiter: aws.String("/")})
	if err != nil {
		return err
	}
	for _, folder := range top.CommonPrefixes {
		folders = append(folders, *folder.Prefix)
	}
	return same(folders, []string{"in/", "other/"})
}

func presign(ctx context.Context, client *s3.S3, bucket string) error {
	request, _ := client.PutObjectRequest(&s3.PutObjectInput{Bucket: &bucket, Key: aws.String("by link")})
	if err := follow(ctx, request.Presign, http.MethodPut, "linked", ""); err != nil {
		return err
	}
	request, _ = client.GetObjectRequest(get(bucket, "by link"))
	return follow(ctx, request.Presign, http.MethodGet, "", "linked")
}

func copyObject(ctx context.Context, client *s3.S3, bucket string) error {
	if err := write(ctx, client, bucket, "from", "copied"); err != nil {
		return err
	}
	_, err := client.CopyObjectWithContext(ctx, &s3.CopyObjectInput{
		Bucket: &bucket, Key: aws.String("to"), CopySource: aws.String(bucket + "/from"),
	})
	if err != nil {
		return err
	}
	return has(ctx, client, bucket, "to", "copied")
}

func deleteObjects(ctx context.Context, client *s3.S3, bucket string) error {
	keys, err := fill(ctx, client, bucket)
	if err != nil {
		return err
	}
	if _, err = client.DeleteObjectWithContext(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &keys[0]}); err != nil {
		return err
	}
	everything := s3manager.NewDeleteListIterator(client, &s3.ListObjectsInput{Bucket: &bucket})
	if err = s3manager.NewBatchDeleteWithClient(client).Delete(ctx, everything); err != nil {
		return err
	}
	left, err := client.ListObjectsV2WithContext(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		return err
	}
	return same(names(left.Contents), nil)
}

// The library makes errors of its own of these codes, which callers look at.
func refusals(ctx context.Context, client *s3.S3, bucket string) error {
	_, err := client.GetObjectWithContext(ctx, get(bucket, "nowhere"))
	if err = code(err, s3.ErrCodeNoSuchKey); err != nil {
		return err
	}
	_, err = client.ListObjectsWithContext(ctx, &s3.ListObjectsInput{Bucket: aws.String(bucket + "-none")})
	if err = code(err, s3.ErrCodeNoSuchBucket); err != nil {
		return err
	}
	_, err = client.HeadObjectWithContext(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("nowhere")})
	if err = code(err, "NotFound"); err != nil {
		return err
	}
	stranger := s3.New(session.Must(session.NewSession(client.Config.Copy().WithCredentials(
		credentials.NewStaticCredentials(os.Getenv("ACCESS_KEY"), "wrong", "")))))
	_, err = stranger.GetObjectWithContext(ctx, get(bucket, "nowhere"))
	return code(err, "SignatureDoesNotMatch")
}

func buckets(ctx context.Context, client *s3.S3, bucket string) error {
	fresh := aws.String(bucket + "-fresh")
	if _, err := client.CreateBucketWithContext(ctx, &s3.CreateBucketInput{Bucket: fresh}); err != nil {
		return err
	}
	if err := client.WaitUntilBucketExistsWithContext(ctx, &s3.HeadBucketInput{Bucket: fresh}); err != nil {
		return err
	}
	region, err := s3manager.GetBucketRegionWithClient(ctx, client, *fresh)
	if err != nil || region != "us-east-1" {
		return fmt.Errorf("its region is %q, %v", region, err)
	}
	all, err := client.ListBucketsWithContext(ctx, &s3.ListBucketsInput{})
	if err != nil {
		return err
	}
	for _, one := range all.Buckets {
		if *one.Name == *fresh {
			_, err = client.DeleteBucketWithContext(ctx, &s3.DeleteBucketInput{Bucket: fresh})
			return err
		}
	}
	return errors.New("a new bucket is not listed")
}

func get(bucket, key string) *s3.GetObjectInput {
	return &s3.GetObjectInput{Bucket: &bucket, Key: &key}
}

func write(ctx context.Context, client *s3.S3, bucket, key, content string) error {
	_, err := client.PutObjectWithContext(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(content),
	})
	return err
}

func has(ctx context.Context, client *s3.S3, bucket, key, content string) error {
	got, err := client.GetObjectWithContext(ctx, get(bucket, key))
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err == nil && string(body) != content {
		err = fmt.Errorf("%q came back", body)
	}
	return err
}

// Eight keys in a folder, which it answers, and one in another.
func fill(ctx context.Context, client *s3.S3, bucket string) ([]string, error) {
	var keys []string
	for i := range [8]int{} {
		keys = append(keys, fmt.Sprintf("in/é %d", i))
	}
	for _, key := range append([]string{"other/k"}, keys...) {
		if err := write(ctx, client, bucket, key, "x"); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func follow(ctx context.Context, sign func(time.Duration) (string, error), method, body, answer string) error {
	link, err := sign(time.Minute)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, link, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || string(got) != answer) {
		err = fmt.Errorf("a link to %s is answered with %d, %q", method, response.StatusCode, got)
	}
	return err
}

func names(objects []*s3.Object) []string {
	var found []string
	for _, object := range objects {
		found = append(found, *object.Key)
	}
	return found
}

func same(found, expected []string) error {
	sorted := append([]string(nil), expected...)
	sort.Strings(sorted)
	if fmt.Sprintf("%q", found) != fmt.Sprintf("%q", sorted) {
		return fmt.Errorf("found %q instead of %q", found, sorted)
	}
	return nil
}

func code(err error, expected string) error {
	var refused awserr.Error
	if !errors.As(err, &refused) || refused.Code() != expected {
		return fmt.Errorf("%v instead of %s", err, expected)
	}
	return nil
}
